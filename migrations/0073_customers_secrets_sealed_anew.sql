-- The authorization server seals customers' second factors anew when the key for it changes. It replaces only what is there, as it
-- was when it was opened: what else changed a row meanwhile has the last word.
create function customers.reseal_totp_secrets(p_customer_ids text[], p_before bytea[], p_after bytea[]) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp as $$
  with resealed as (
    update customers.customer c set totp_secret_sealed = given.after
    from unnest(p_customer_ids, p_before, p_after) as given (customer_id, before, after)
    where c.customer_id = given.customer_id and c.totp_secret_sealed = given.before
    returning 1)
  select count(*) from resealed
$$;
revoke execute on function customers.reseal_totp_secrets from public;
grant execute on function customers.reseal_totp_secrets to bankside_auth_server;
