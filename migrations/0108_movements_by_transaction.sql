-- outside a transaction
-- Whoever follows the movements must be told of each. After a server had been killed many times, a range of pages was once missing from what
-- the BRIN index found; a B-tree that grows at one end costs a movement next to nothing.
create index concurrently if not exists movement_by_transaction on ledger.movement (written_in, movement_key);
-- then
drop index concurrently if exists ledger.movement_written_in;
