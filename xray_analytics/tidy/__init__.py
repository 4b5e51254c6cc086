"""From bytes to tidy tables: pure, batch-wise, and strict; no network, no files, no clock.

Downwards: `drift` (what differs from the documentation), `decode` (bytes to a checked tree), `fields` (members to
columns), `layout` (where members come from and how values are written), `transactions`, `accounts`, `months`,
`month_batch` (the months of a batch), `rows` (what one report becomes), `bank`, `financial`, `other`, `requests`,
`fast` (a plain bank report at once), `payload` (one report or request), `arrow_tables` (rows to Arrow), `batch` (the
way in), `inspection`.
"""
