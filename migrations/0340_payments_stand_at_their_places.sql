-- What is posted, held and written of a payment is looked up by its place in the call, and that was believed: two that said they were one had the money of the
-- first moved, whatever was found out about it, and the second written. Only a resource API that was taken over says so. Everything else of the function stays.
do $$
declare
  before constant text := $text$
    submissions := submissions || s;
$text$;
  after constant text := before || $text$    if s.position is distinct from cardinality(submissions) then
      raise exception 'payment % of a call does not stand at its place', s.payment_id
        using errcode = '23514', constraint = 'call_is_in_order', table = 'payment', schema = 'payments';
    end if;
$text$;
  definition text := pg_get_functiondef('payments.submit'::regproc);
  -- Whoever replaces what another role owns must be able to act as it: for as long as this takes.
  must_join boolean := not (select rolsuper from pg_roles where rolname = current_user);
begin
  if strpos(definition, before) = 0 then
    raise exception 'payments.submit does not gather payments as it did: see how it is changed here';
  end if;
  if must_join then execute format('grant bankside_payments to %I', current_user); end if;
  execute replace(definition, before, after);
  if must_join then execute format('revoke bankside_payments from %I', current_user); end if;
end $$;
