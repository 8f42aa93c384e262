-- outside a transaction
-- What is sealed and verified is found by the transaction that wrote it. A BRIN index lost sight of whole ranges of rows after many
-- crashes (seen with PostgreSQL killed a hundred times under load); a B-tree grows at one end, and is right.
drop index concurrently if exists ledger.entry_written_in;
-- then
create index concurrently entry_written_in on ledger.entry (written_in);
-- then
drop index concurrently if exists audit.record_written_in;
-- then
create index concurrently record_written_in on audit.record (written_in);
-- then
drop function if exists audit.sum_up_written_in();
