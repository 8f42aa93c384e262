-- Rounds that were sealed as several seals before each said what it begins with: leaves stand in the order of table and key, so that is the row of as
-- high a number in its round. A round of one seal needs none. Nothing that is signed changes.
do $$
declare
  round record;
begin
  alter table audit.seal disable trigger tree_is_append_only;
  for round in
    select log, from_xact, before_xact, min(first_leaf) as first_leaf from audit.seal where first_key is null
    group by log, from_xact, before_xact having count(*) > 1
  loop
    with numbered as (
      select row_table, row_key, row_number() over (order by row_table, row_key collate "C") - 1 as offset_in_round
      from (
        select 0::smallint as row_table, entry_id as row_key from ledger.entry where written_in >= round.from_xact and written_in < round.before_xact
        union all
        select 1::smallint, record_id from audit.record where written_in >= round.from_xact and written_in < round.before_xact) written)
    update audit.seal s set first_table = n.row_table, first_key = n.row_key
    from numbered n
    where s.log = round.log and s.before_xact = round.before_xact and s.from_xact = round.from_xact
      and n.offset_in_round = s.first_leaf - round.first_leaf;
  end loop;
  alter table audit.seal enable trigger tree_is_append_only;
end $$;
