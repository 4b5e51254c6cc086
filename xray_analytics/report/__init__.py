"""What people look at: reports of a portfolio, of one company, and of whether the ratings were right; the watch list.

Each report is a folder of the same pattern: `results` (what the analyses say, below), `chapters` with its `figures`
(a document made of them), `report` (the document as a file, on top). `document/` is the form they share.
"""
