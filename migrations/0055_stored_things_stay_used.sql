-- What was used stays used, whoever writes: not even the authorization server's own role makes a code, a request or an
-- identifier fresh again, or a grant stand again. Payloads are sealed by the process (HMAC), with keys outside the database.
create function oidc.used_stays_used() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.consumed_at is distinct from old.consumed_at then
    raise exception 'what was used stays used'
      using errcode = '23514', constraint = 'used_stays_used', table = tg_table_name, schema = 'oidc';
  end if;
  return new;
end $$;
create trigger used_stays_used before update on oidc.pushed_authorization_request
  for each row when (old.consumed_at is not null) execute function oidc.used_stays_used();
create trigger used_stays_used before update on oidc.authorization_code
  for each row when (old.consumed_at is not null) execute function oidc.used_stays_used();
create trigger used_stays_used before update on oidc.refresh_token
  for each row when (old.consumed_at is not null) execute function oidc.used_stays_used();

create function oidc.revoked_stays_revoked() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.revoked_at is distinct from old.revoked_at then
    raise exception 'grant % is revoked', old.grant_id
      using errcode = '23514', constraint = 'revoked_stays_revoked', table = 'grant', schema = 'oidc';
  end if;
  return new;
end $$;
create trigger revoked_stays_revoked before update on oidc.grant
  for each row when (old.revoked_at is not null) execute function oidc.revoked_stays_revoked();
revoke execute on function oidc.used_stays_used, oidc.revoked_stays_revoked from public;

-- Removing and writing anew would be a way round: only the worker removes, and only what nobody can use any more. Whose a
-- grant is, is said once: the resource API takes the customer of a call from its row.
revoke delete on oidc.authorization_code, oidc.pushed_authorization_request, oidc.grant from bankside_auth_server;
revoke update, delete on oidc.used_identifier from bankside_auth_server;
revoke update on oidc.grant from bankside_auth_server;
grant update (payload, expires_at, revoked_at) on oidc.grant to bankside_auth_server;

-- How far a customer is, and who it is, is sealed like the rest. Journeys last minutes: those under way begin again.
delete from oidc.journey;
alter table oidc.journey add column seal text not null;
