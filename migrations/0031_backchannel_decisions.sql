-- A decision is made once, and fetched once, whoever writes: not even the authorization server's own role takes one back, or
-- makes one fresh again. What was asked of whom never changes; that it was asked is removed by the worker alone.
create function oidc.decided_stays_decided() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if (new.outcome, new.decided_at, new.grant_id, new.answer) is distinct from (old.outcome, old.decided_at, old.grant_id, old.answer)
    or (old.consumed_at is not null and new.consumed_at is distinct from old.consumed_at) then
    raise exception 'request % is decided', old.request_id
      using errcode = '23514', constraint = 'decided_stays_decided', table = 'backchannel_authentication_request', schema = 'oidc';
  end if;
  return new;
end $$;
create trigger decided_stays_decided before update on oidc.backchannel_authentication_request
  for each row when (old.outcome is not null) execute function oidc.decided_stays_decided();
revoke execute on function oidc.decided_stays_decided from public;

revoke update, delete on oidc.backchannel_authentication_request from bankside_auth_server;
grant update (interval_seconds, polled_at, outcome, decided_at, grant_id, answer, consumed_at)
  on oidc.backchannel_authentication_request to bankside_auth_server;
revoke delete on oidc.prompted_customer from bankside_auth_server;
