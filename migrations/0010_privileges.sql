-- What each process may do, and nothing more. What is not granted here is refused: there are no default privileges.

revoke execute on all functions in schema ledger, consents, payments, audit from public;
revoke usage on type ledger.party, ledger.capture from public;

-- All that the authorization server learns of accounts: enough for a customer to recognise theirs on a screen.
create view consents.account_to_show with (security_barrier) as
select
  account_id, customer_id, nickname, holder_name, type_code, currency, sort_code,
  right(account_number, 4) as account_number_last_four, right(iban, 4) as iban_last_four,
  status, posted_minor - held_minor + overdraft_minor as available_minor
from ledger.account
where kind = 'customer';

-- Ends a grant with all that was issued under it. For processes that must not see, let alone write, what oidc-provider stores.
create function consents.end_grant(p_grant_id text, p_now timestamptz) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update oidc.grant set revoked_at = p_now where grant_id = p_grant_id and revoked_at is null;
  delete from oidc.refresh_token where grant_id = p_grant_id;
  delete from oidc.authorization_code where grant_id = p_grant_id;
$$;
revoke execute on function consents.end_grant from public;
grant execute on function consents.end_grant to bankside_auth_server, bankside_resource_api, bankside_worker;

-- Everyone tells what happened; nobody rewrites it.
grant usage on schema events, audit to bankside_auth_server, bankside_resource_api, bankside_worker;
grant insert on events.event, audit.record to bankside_auth_server, bankside_resource_api, bankside_worker;

-- The authorization server: customers who sign in, consents they decide on, what oidc-provider stores. Never the ledger, never payments.
grant usage on schema customers, clients, consents, oidc to bankside_auth_server;
grant select on customers.customer, customers.beneficiary, clients.client to bankside_auth_server;
grant select, insert, update, delete on customers.sign_in_attempt, customers.session to bankside_auth_server;
grant select, insert on customers.totp_step_used to bankside_auth_server;
grant select, insert on customers.sca_challenge to bankside_auth_server;
grant update (answered_at, spent_at) on customers.sca_challenge to bankside_auth_server;
grant select on consents.account_to_show, consents.transition to bankside_auth_server;
grant select, insert, update on consents.consent to bankside_auth_server;
grant select, insert, delete on consents.consent_account to bankside_auth_server;
grant select on events.notification to bankside_auth_server;
grant select, insert, update, delete on all tables in schema oidc to bankside_auth_server;

-- The resource API: reads what consents open, lodges and spends consents, sets funds aside. It moves no money.
grant usage on schema customers, clients, ledger, consents, payments, oidc to bankside_resource_api;
grant select (customer_id, full_name, email, email_verified, phone, created_at) on customers.customer to bankside_resource_api;
grant select, insert on customers.beneficiary to bankside_resource_api;
grant select (client_id, profile, name, first_party, status, created_at, updated_at) on clients.client to bankside_resource_api;
grant select on ledger.currency, ledger.account, ledger.entry, ledger.posting, ledger.hold to bankside_resource_api;
grant execute on function ledger.place_hold to bankside_resource_api;
grant select, insert on consents.consent to bankside_resource_api;
grant update (status, status_updated_at, status_reason_code, status_reason_description, deleted_at) on consents.consent to bankside_resource_api;
grant select on consents.consent_account, consents.transition to bankside_resource_api;
grant select, insert on payments.payment to bankside_resource_api;
grant select, insert on payments.idempotent_request to bankside_resource_api;
grant update (request_hash, resource_id, created_at) on payments.idempotent_request to bankside_resource_api;
grant execute on function payments.claim_idempotency_key to bankside_resource_api;
grant select (grant_id, client_id, customer_id, created_at, revoked_at, expires_at) on oidc.grant to bankside_resource_api;
grant select, insert on oidc.used_identifier to bankside_resource_api;

-- The worker: finishes payments, delivers events, lets things expire.
grant usage on schema customers, clients, ledger, consents, payments, oidc to bankside_worker;
grant select on ledger.currency, ledger.account, ledger.entry, ledger.posting, ledger.hold to bankside_worker;
grant execute on function ledger.capture_holds, ledger.release_hold to bankside_worker;
grant select on payments.payment to bankside_worker;
grant update (status, status_updated_at, rejection_reason, entry_id) on payments.payment to bankside_worker;
grant select, delete on payments.idempotent_request to bankside_worker;
grant select on consents.consent, consents.consent_account, consents.transition to bankside_worker;
grant update (status, status_updated_at, status_reason_code, status_reason_description) on consents.consent to bankside_worker;
grant select on events.event to bankside_worker;
grant update (attempts, next_attempt_at, delivered_at, dead_at, last_error) on events.event to bankside_worker;
grant select, insert on events.notification to bankside_worker;
grant select (username_hash, locked_until, updated_at), delete on customers.sign_in_attempt to bankside_worker;
grant select, delete on customers.totp_step_used to bankside_worker;
grant select (challenge_id, expires_at), delete on customers.sca_challenge to bankside_worker;
grant select (session_hash, expires_at), delete on customers.session to bankside_worker;
grant select (id_hash, expires_at), delete
  on oidc.session, oidc.interaction, oidc.pushed_authorization_request, oidc.authorization_code, oidc.refresh_token, oidc.used_identifier
  to bankside_worker;
grant select (grant_id, expires_at), delete on oidc.grant to bankside_worker;
grant select (journey_hash, expires_at), delete on oidc.journey to bankside_worker;

-- Who may bring a consent where. The authorization server speaks for the customer: it alone authorises, and lodges only the
-- transfers of first-party apps. The resource API speaks for the third party: it lodges, spends and deletes, and can never
-- make a consent authorised. The worker lets consents run out.
alter table consents.consent enable row level security;
create policy everyone_reads on consents.consent for select using (true);
create policy auth_server_lodges_transfers on consents.consent for insert to bankside_auth_server
  with check (kind = 'transfer' and status = 'AWAU');
create policy auth_server_decides on consents.consent for update to bankside_auth_server
  using (true) with check (status <> 'COND' and deleted_at is null);
create policy resource_api_lodges on consents.consent for insert to bankside_resource_api
  with check (kind <> 'transfer' and status = 'AWAU' and customer_id is null and grant_id is null);
create policy resource_api_spends on consents.consent for update to bankside_resource_api
  using (true) with check (status <> 'AUTH' or deleted_at is not null);
create policy worker_lets_expire on consents.consent for update to bankside_worker
  using (true) with check (status in ('RJCT', 'EXPD'));

-- Expired rows are found by their time.
create index totp_step_used_age on customers.totp_step_used (used_at);
create index sign_in_attempt_age on customers.sign_in_attempt (updated_at);
create index session_expiry on oidc.session (expires_at);
create index interaction_expiry on oidc.interaction (expires_at);
create index pushed_authorization_request_expiry on oidc.pushed_authorization_request (expires_at);
create index authorization_code_expiry on oidc.authorization_code (expires_at);
create index refresh_token_expiry on oidc.refresh_token (expires_at);
create index grant_expiry on oidc.grant (expires_at);
create index journey_expiry on oidc.journey (expires_at);
