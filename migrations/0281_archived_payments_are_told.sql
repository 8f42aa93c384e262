-- Whether what was recorded of a payment, or of its consent, has gone to a file: for who proves, and may read neither archives nor payments.
create function audit.is_archived(p_payment_id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from payments.payment p join consents.consent c using (consent_id)
      cross join lateral (values (p.created_at), (c.created_at)) made (at)
      join audit.archive a on rpad('aud_' || lpad(to_hex((extract(epoch from made.at) * 1000)::bigint), 12, '0'), 36, '0') collate "C" >= a.first_key
        and rpad('aud_' || lpad(to_hex((extract(epoch from made.at) * 1000)::bigint), 12, '0'), 36, '0') collate "C" < a.before_key
    where p.payment_id = p_payment_id)
$$;
revoke execute on function audit.is_archived from public;
grant execute on function audit.is_archived to bankside_resource_api, bankside_auth_server, bankside_sealer;
