-- While a bank is young PostgreSQL takes a hundred payments, as many as it thinks that a call has, for more than there are consents, grants and accounts, and
-- reads all of these for each call. As payments.settle has it.
do $$
declare
  must_join boolean := not (select rolsuper from pg_roles where rolname = current_user);
begin
  if must_join then execute format('grant bankside_payments to %I', current_user); end if;
  alter function payments.submit set enable_hashjoin = off;
  alter function payments.submit set enable_mergejoin = off;
  if must_join then execute format('revoke bankside_payments from %I', current_user); end if;
end $$;
