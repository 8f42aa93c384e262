-- Whose certificate may hold a connection for a client, where a statement said so: read with every call, so it stands by itself,
-- and it follows from the metadata.
alter table clients.client add column organisation text generated always as (metadata ->> 'organisation') stored;
grant select (organisation) on clients.client to bankside_resource_api;
