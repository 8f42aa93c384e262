-- What became of the payment of a consent, for the customer's own pages: no account, and nobody's name.
create function payments.outcome_of(p_consent_id text, out status text, out step text, out rejection_reason text, out limit_id text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select p.status, p.step, p.rejection_reason, p.limit_id from payments.payment p where p.consent_id = p_consent_id
$$;
revoke execute on function payments.outcome_of from public;
grant execute on function payments.outcome_of to bankside_auth_server;
