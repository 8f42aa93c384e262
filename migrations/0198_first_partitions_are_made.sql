drop function housekeeping.say_first_partition, housekeeping.prove_first_partition, housekeeping.first_bound, housekeeping.is_in_partitions,
  housekeeping.become_partitioned;
revoke delete on payments.spent from bankside_worker;
do $$
begin
  while housekeeping.make_next_partition(statement_timestamp()) is not null loop
  end loop;
end $$;
