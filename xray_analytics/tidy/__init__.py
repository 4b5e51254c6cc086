"""From bytes to tidy tables: pure, batch-wise, and strict; no network, no files, no clock.

Downwards: `drift` (what differs from the documentation), `decode` (bytes to a checked tree), `members` (members to
columns), `entries` (transactions), `accounts`, `months`, `ledgers` (the months of a batch), `product` (what one report
becomes), `bank`, `financial`, `others`, `requests`, `quick` (a documented bank report at once), `objects` (one
payload), `columns` (rows to Arrow), `batch` (the way in), `inspection`.
"""
