"""Sinks: copies of a ledger's records in a database, a log system, or files for analysts.

`Shipper` reads the ledger and delivers; neither the ledger nor the guard knows of it, so a sink
that is dead stalls nobody. A record counts as delivered once the sink has it, by a cursor that
moves afterwards: what a crash leaves undecided is delivered again.
"""

from safegen.audit.sinks.at import sink_at
from safegen.audit.sinks.base import Batch, Cursor, Item, Sink
from safegen.audit.sinks.shipper import Shipped, Shipper, Status, statuses

__all__ = ["Batch", "Cursor", "Item", "Shipped", "Shipper", "Sink", "Status", "sink_at", "statuses"]
