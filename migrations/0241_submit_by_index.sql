-- As 0231 has it: what was replaced in between lost it.
do $$
declare
  must_join boolean := not (select rolsuper from pg_roles where rolname = current_user);
begin
  if must_join then execute format('grant bankside_payments to %I', current_user); end if;
  alter function payments.submit set enable_seqscan = off;
  if must_join then execute format('revoke bankside_payments from %I', current_user); end if;
end $$;
