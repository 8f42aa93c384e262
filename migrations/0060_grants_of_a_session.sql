-- outside a transaction
-- What an app of the bank was given through a session ends with the session, however many grants that are: a payment has one of its
-- own, and so has what two tabs asked for at once. The name of the session is kept as its hash, with the grant, whose seal covers it.
alter table oidc.grant add column if not exists session_hash bytea;
-- then
drop index concurrently if exists oidc.grant_of_session;
-- then
create index concurrently grant_of_session on oidc.grant (session_hash) where session_hash is not null;
