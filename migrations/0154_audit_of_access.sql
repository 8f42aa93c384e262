-- What changes access or money without an act of its own is on record, whoever does it: a grant that ends (a code that was used
-- twice, say), a hold that is given back, a rate, and what an account may do.
create function audit.record_change(p_at timestamptz, p_action text, p_subject text, p_details jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into audit.record (record_id, occurred_at, actor, action, subject, details)
  values ('aud_' || lpad(to_hex((extract(epoch from p_at) * 1000)::bigint), 12, '0') || substr(replace(gen_random_uuid()::text, '-', ''), 1, 20),
    p_at, session_user, p_action, p_subject, p_details)
$$;

create function audit.grant_ended() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform audit.record_change(new.revoked_at, 'grant.ended', new.grant_id, jsonb_build_object('clientId', new.client_id));
  return null;
end $$;
create trigger grant_ended after update on oidc.grant for each row
  when (old.revoked_at is null and new.revoked_at is not null) execute function audit.grant_ended();

create function audit.hold_given_back() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform audit.record_change(new.resolved_at, 'hold.' || new.status, new.hold_id,
    jsonb_build_object('accountId', new.account_id, 'amountMinor', (new.amount_minor - new.captured_minor)::text, 'currency', new.currency));
  return null;
end $$;
create trigger hold_given_back after update on ledger.hold for each row
  when (old.status = 'active' and new.status in ('released', 'expired')) execute function audit.hold_given_back();

create function audit.rate_recorded() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform audit.record_change(new.quoted_at, 'rate.recorded', new.base_currency || '/' || new.quote_currency,
    jsonb_build_object('source', new.source, 'units', new.price_units::text, 'scale', new.price_scale));
  return null;
end $$;
create trigger rate_recorded after insert on ledger.rate for each row execute function audit.rate_recorded();

-- No time comes with these: it is the database's.
create function audit.account_changed() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform audit.record_change(statement_timestamp(), 'account.changed', new.account_id, jsonb_build_object(
    'status', new.status, 'before', old.status, 'overdraftMinor', new.overdraft_minor::text, 'overdraftBefore', old.overdraft_minor::text));
  return null;
end $$;
create trigger account_changed after update of status, overdraft_minor, customer_id, kind, currency on ledger.account for each row
  when ((old.status, old.overdraft_minor, old.customer_id, old.kind, old.currency) is distinct from
    (new.status, new.overdraft_minor, new.customer_id, new.kind, new.currency)) execute function audit.account_changed();

revoke execute on function audit.record_change, audit.grant_ended, audit.hold_given_back, audit.rate_recorded, audit.account_changed from public;
