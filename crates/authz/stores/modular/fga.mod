schema: '1.2'
contents:
  - wiki.fga
  - core.fga
  - tracker/tickets.fga
  - tracker/rights.fga
