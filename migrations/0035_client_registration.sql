-- Third parties register themselves. What a registration is beyond RFC 7591 metadata: who vouched for it, and who manages it.
alter table clients.client drop constraint client_status_is_known;
alter table clients.client add constraint client_status_is_known check (status in ('active', 'blocked', 'deleted'));

create table clients.registration (
  client_id                text primary key references clients.client,
  -- The directory and the software that a statement named; none for who came with an initial access token.
  software_issuer          text,
  software_id              text,
  -- What the answers repeat: the claims of the signed request, with its statement.
  request                  jsonb not null,
  -- SHA-256 of the registration access token (RFC 7592), for who came with an initial access token.
  access_token_hash        bytea,
  -- The scopes that whoever registers it may have, at most.
  scopes                   text[] not null,
  registered_at            timestamptz not null,
  updated_at               timestamptz not null,
  deleted_at               timestamptz,
  constraint registration_is_by_statement_or_token
    check ((software_issuer is null) = (software_id is null) and (software_id is null) = (access_token_hash is not null))
);
-- However many register one software at once, one of them is its client.
create unique index registration_one_client_per_software on clients.registration (software_issuer, software_id)
  where deleted_at is null and software_id is not null;

-- What the bank gives to whoever may register without a software statement (RFC 7591 section 3).
create table clients.initial_access_token (
  token_hash  bytea primary key,
  note        text not null,
  scopes      text[] not null,
  uses_left   integer not null,
  created_at  timestamptz not null,
  expires_at  timestamptz not null,
  constraint initial_access_token_is_not_overused check (uses_left >= 0)
);

-- Key sets and revocation lists of others as they were last got: what is here keeps working while its source does not answer.
create table clients.remote_document (
  url         text primary key,
  body        bytea not null,
  fetched_at  timestamptz not null,
  constraint remote_document_is_bounded check (octet_length(body) <= 8388608 and length(url) <= 2048)
);

-- Access tokens that were taken back before they expired and belong to no grant that could be.
create table oidc.revoked_token (
  token_hash  bytea not null,
  expires_at  timestamptz not null,
  constraint revoked_token_is_revoked_once primary key (token_hash)
);
create index revoked_token_expiry on oidc.revoked_token (expires_at);

-- The authorization server lets third parties in, changes what they registered and lets them go. It cannot make an app of the
-- bank's own, touch one, or let in again who is blocked or gone.
create function clients.enter_third_party(p_client_id text, p_profile text, p_name text, p_metadata jsonb, p_now timestamptz) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into clients.client (client_id, profile, name, first_party, metadata, status, created_at, updated_at)
  values (p_client_id, p_profile, p_name, false, p_metadata, 'active', p_now, p_now)
$$;
create function clients.change_third_party(p_client_id text, p_name text, p_metadata jsonb, p_now timestamptz) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
  with changed as (
    update clients.client set name = p_name, metadata = p_metadata, updated_at = p_now
    where client_id = p_client_id and not first_party and status = 'active'
      and exists (select from clients.registration r where r.client_id = p_client_id and r.deleted_at is null)
    returning 1)
  select exists (select from changed)
$$;
create function clients.end_third_party(p_client_id text, p_now timestamptz) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update clients.client set status = 'deleted', updated_at = p_now
  where client_id = p_client_id and not first_party and status = 'active'
    and exists (select from clients.registration r where r.client_id = p_client_id and r.deleted_at is null);
  if not found then
    return false;
  end if;
  update clients.registration set deleted_at = p_now, updated_at = p_now where client_id = p_client_id;
  delete from oidc.refresh_token where grant_id in (select grant_id from oidc.grant where client_id = p_client_id);
  delete from oidc.authorization_code where grant_id in (select grant_id from oidc.grant where client_id = p_client_id);
  update oidc.grant set revoked_at = p_now where client_id = p_client_id and revoked_at is null;
  return true;
end $$;
create function clients.use_initial_access_token(p_token_hash bytea, p_now timestamptz) returns text[]
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update clients.initial_access_token set uses_left = uses_left - 1
  where token_hash = p_token_hash and uses_left > 0 and expires_at > p_now
  returning scopes
$$;
revoke execute on function clients.enter_third_party, clients.change_third_party, clients.end_third_party, clients.use_initial_access_token
  from public;
grant execute on function clients.enter_third_party, clients.change_third_party, clients.end_third_party, clients.use_initial_access_token
  to bankside_auth_server;

create index grant_of_client on oidc.grant (client_id) where revoked_at is null;

grant select, insert on clients.registration to bankside_auth_server;
grant update (request, updated_at) on clients.registration to bankside_auth_server;
grant select, insert on clients.remote_document to bankside_auth_server;
grant update (body, fetched_at) on clients.remote_document to bankside_auth_server;
grant select on clients.remote_document to bankside_resource_api;
grant select, insert on oidc.revoked_token to bankside_auth_server;
grant select on oidc.revoked_token to bankside_resource_api;
grant select (token_hash, expires_at), delete on oidc.revoked_token to bankside_worker;
