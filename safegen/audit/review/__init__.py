"""What people do about records: accounts, acts that become events of the ledger, the web page."""
