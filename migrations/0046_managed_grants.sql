-- Grant Management: the name under which a third party asks after a consent, replaces it or adds to it. It stays when another
-- consent takes the place of the first, and is of one consent at a time. Whoever knows it can do nothing with it (GM-11).
alter table consents.consent
  add column managed_grant_id text,
  add column managed_since timestamptz,
  add constraint managed_grant_id_is_prefixed check (managed_grant_id ~ '^gnt_[0-9a-f]{32}$'),
  add constraint managed_grant_has_a_beginning check (managed_grant_id is null or managed_since is not null),
  add constraint managed_grant_is_of_a_customer check (managed_grant_id is null or customer_id is not null);
create unique index managed_grant_is_of_one_consent on consents.consent (managed_grant_id) where managed_grant_id is not null;

-- A grant whose consent nobody can name until its code is redeemed ends when that does not happen in time (GM-06).
alter table oidc.grant add column claim_before timestamptz;
create index grant_unclaimed on oidc.grant (claim_before) where claim_before is not null;
grant select (claim_before, revoked_at) on oidc.grant to bankside_worker;

create function consents.claim_grant(p_grant_id text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update oidc.grant set claim_before = null where grant_id = p_grant_id and claim_before is not null
$$;
revoke execute on function consents.claim_grant from public;
grant execute on function consents.claim_grant to bankside_auth_server;
