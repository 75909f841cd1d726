"""What skin tone alone does to the detector `faces`: one drawn face in the ten Monk tones.

    uv run python benchmarks/faces.py [--json]

The same face, with and without hair, differs in nothing but its tone. A detector without a bias of
tone would find it ten times and read the same in it each time.
"""

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from safegen.audit.detectors import load_detector
from safegen.audit.detectors.faces.detector import AGES
from safegen.testing import MONK, drawn_face


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    rows = measure()
    told = {
        "found": sum(row["found"] for row in rows) / len(rows),
        "found_lightest_five": sum(row["found"] for row in rows if row["tone"] <= 5) / 10,
        "found_darkest_five": sum(row["found"] for row in rows if row["tone"] > 5) / 10,
        "female_least": min(row["female"] for row in rows if row["found"]),
        "female_most": max(row["female"] for row in rows if row["found"]),
        "rows": rows,
    }
    if options.json:
        print(json.dumps(told))
        return
    table = Table("tone", "hair", "found", "gender.female", "likeliest age band")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


def measure() -> list[dict[str, Any]]:
    """For each tone, with and without hair: whether it was found, and what was read in it."""
    kinds = [(tone, hair) for hair in (True, False) for tone in range(1, 11)]
    faces = [drawn_face(MONK[tone - 1], hair=hair) for tone, hair in kinds]
    rows: list[dict[str, Any]] = []
    for (tone, hair), findings in zip(kinds, load_detector("faces")(faces), strict=True):
        scores = {finding.label: finding.score for finding in findings}
        rows.append(
            {
                "tone": tone,
                "hair": hair,
                "found": "face" in scores,
                "female": round(scores.get("gender.female", 0.0), 3),
                "age": max(AGES, key=lambda band: scores.get(band, 0.0)) if scores else "",
            }
        )
    return rows


if __name__ == "__main__":
    main()
