-- An upgrade changes nothing by itself: where payments were made before, a bank may have a check of its own, and says itself that payments need not
-- wait for it (npm run payments -- straight-through on).
update payments.straight_through set is_on = false where exists (select from payments.payment);

-- What is posted at once is booked at the time that the caller says: not in a time to come, in which its accounts would be stuck.
do $$
declare
  before constant text := $text$begin
  perform from consents.consent c where c.consent_id = any (p_consent_id)$text$;
  after constant text := $text$begin
  if p_now > clock_timestamp() + interval '7 days' then
    raise exception 'a payment cannot be made at %', p_now
      using errcode = '23514', constraint = 'payment_is_not_of_a_time_to_come', table = 'payment', schema = 'payments';
  end if;
  perform from consents.consent c where c.consent_id = any (p_consent_id)$text$;
  definition text := pg_get_functiondef('payments.submit'::regproc);
  -- Whoever replaces what another role owns must be able to act as it: for as long as this takes.
  must_join boolean := not (select rolsuper from pg_roles where rolname = current_user);
begin
  if strpos(definition, before) = 0 then
    raise exception 'payments.submit does not begin as it did: see how it is changed here';
  end if;
  if must_join then execute format('grant bankside_payments to %I', current_user); end if;
  execute replace(definition, before, after);
  if must_join then execute format('revoke bankside_payments from %I', current_user); end if;
end $$;
