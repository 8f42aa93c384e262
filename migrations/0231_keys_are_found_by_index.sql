-- Whoever changes what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_books to %I', current_user); end if;
end $$;

-- A generation of keys begins empty, and how a key is looked for is decided then, for as long as nobody has counted what came since: whoever reads a
-- table that is nearly empty from its beginning to its end goes on to do so while it grows. A key is looked for by its index, always.
do $$
declare
  looking regprocedure;
begin
  for looking in
    select oid from pg_proc
    where oid in ('ledger.write'::regproc, 'ledger.write_transfer'::regproc, 'payments.submit'::regproc, 'payments.claim_idempotency_key'::regproc)
  loop
    execute format('alter function %s set enable_seqscan = off', looking);
  end loop;
end $$;

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('revoke bankside_books from %I', current_user); end if;
end $$;
