"""How do data come in? From the service, from files, from webhooks and from the lender; into one store, under its lock.

::

    service ──sync────────┐
    webhook ──deliveries──┼─▶ run ──▶ versions · workers ──tidy──▶ commit
    files ────files───────┘
    lender's files ───────▶ lender ─────────────────────────────▶ commit

======================  ================================================================================================
file                    what it answers
======================  ================================================================================================
`sync`                  what is new at the service, and which request need not be listed again?
`files`                 which files are reports and requests, and what is in one of them?
`deliveries`            which reports did a webhook announce, and which of these came?
`lender`                what does the lender say: companies, loans, exposures, outcomes?
`run`                   what became of every payload that was taken, and what did each commit count?
`door`                  is a payload of a company that was forgotten, and must not come back?
`versions`              is a payload new, unchanged or repeated, and which number does its version get?
`workers`               how are chunks tidied in other processes, as if it were done here?
`rebuild`               how are the tables made anew from the bytes kept?
`subject`               what belongs to a company?
`erasure`               how does a company leave the store for good?
`spark`                 how is an archive tidied that outgrows one machine?
======================  ================================================================================================
"""
