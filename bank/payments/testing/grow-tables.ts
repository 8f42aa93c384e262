import { type Database, type SqlFragment, sql, z } from '@bankside/service-kit/postgres'

/** What a bank sets itself: it stays as short as it is. */
const doNotGrow: readonly string[] = [
  'consents.transition',
  'ledger.currency',
  'ledger.reconciliation',
  'payments.risk_rule',
  'payments.risk_threshold',
]
/** Those of the bank itself are few. */
const whichGrow: Readonly<Record<string, SqlFragment>> = { 'ledger.account': sql.fragment`t.kind = 'customer'` }
/** Of what identifies a row: what is of few kinds, or counts something else. */
const stayAsTheyAre = [
  'booked_at',
  'channel',
  'currency',
  'endpoint',
  'generation',
  'hour',
  'kind',
  'log',
  'method',
  'period',
  'scope',
  'set_by',
  'sort_code',
]

const column = z.object({ table_name: z.string(), name: z.string(), type: z.string(), identifies: z.boolean() })
type Column = z.infer<typeof column>

/**
 * Copies each row of each table so many times, past all triggers: every other copy is of somebody else, account, customer and all, the rest
 * are more of the same. Answers with the tables that have grown.
 */
export async function growTables(owner: Database, times: number): Promise<readonly string[]> {
  const columns = await owner.any(sql.type(column)`
    select n.nspname || '.' || c.relname as table_name, attname as name, atttypid::regtype::text as type,
      exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any (i.indkey)) as identifies
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema|public|housekeeping)'
      and attnum > 0 and not attisdropped and attgenerated = ''
    order by 1, attnum`)
  const grown: string[] = []
  for (const [table, of] of Map.groupBy(columns, ({ table_name }) => table_name))
    if (!doNotGrow.includes(table) && (await copyRows(owner, table, of, times))) grown.push(table)
  return grown
}

async function copyRows(owner: Database, table: string, columns: readonly Column[], times: number): Promise<boolean> {
  const list = (one: (of: Column) => SqlFragment) => sql.fragment`${sql.join(columns.map(one), sql.fragment`, `)}`
  const { rowCount } = await owner.transaction(async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    // What is read for it is told at its end, not with what is read later.
    await tx.query(sql.unsafe`select pg_stat_force_next_flush()`)
    return tx.query(sql.unsafe`
      insert into ${sql.identifier(table.split('.'))} (${list(({ name }) => sql.fragment`${sql.identifier([name])}`)})
      select ${list(copied)} from ${sql.identifier(table.split('.'))} t, generate_series(1, ${times}::integer) n
      where ${whichGrow[table] ?? sql.fragment`true`} on conflict do nothing`)
  })
  return rowCount > 0
}

/** The same in every table, so that what belongs together still does. */
function copied({ name, type, identifies }: Column): SqlFragment {
  const value = sql.fragment`${sql.identifier(['t', name])}`
  const another = {
    text: sql.fragment`case
      when ${value} ~ '^[a-z]{3}_[0-9a-f]{32}$' then left(${value}, 16) || left(md5(${value} || n), 20)
      when ${value} ~ '^[0-9]{8}$' then lpad((${value}::integer + n * 10000)::text, 8, '0')
      else left(${value}, 20) || '-' || n end`,
    uuid: sql.fragment`md5(${value}::text || n)::uuid`,
    bytea: sql.fragment`sha256(${value} || n::text::bytea)`,
    bigint: sql.fragment`${value} + n * 1000`,
  }[type]
  if (another === undefined || stayAsTheyAre.includes(name)) return value
  if (!identifies)
    return name.endsWith('_id') && type === 'text' ? sql.fragment`case n % 2 when 0 then ${value} else ${another} end` : value
  return /^(account|customer|client)_id$/.test(name) ? sql.fragment`case n % 2 when 0 then ${value} else ${another} end` : another
}

export type Reads = ReadonlyMap<string, number>

/** How many rows and index entries were read of what, since the last time. A connection has told all when it has ended. */
export async function readsOf(owner: Database): Promise<Reads> {
  const rows = await owner.any(sql.type(z.object({ name: z.string(), count: z.bigint() }))`
    select relid::regclass::text as name, seq_tup_read + coalesce(idx_tup_fetch, 0) as count from pg_stat_user_tables
    union all select indexrelid::regclass::text, idx_tup_read from pg_stat_user_indexes`)
  await owner.query(sql.unsafe`select pg_stat_reset()`)
  return new Map(rows.map(({ name, count }) => [name, Number(count)]))
}

/**
 * What was read so much more than so many times that only growth explains it. Little more is read in any case: pages of an index that were split,
 * rows of which an earlier version is still there.
 */
export function readMore(before: Reads, reads: Reads, { tolerated, times = 1 }: { tolerated: number; times?: number }): readonly string[] {
  return [...reads]
    .map(([name, count]) => ({ name, more: count - times * (before.get(name) ?? 0) }))
    .filter(({ name, more }) => more > tolerated && !doNotGrow.includes(name))
    .map(({ name, more }) => `${name}: ${more}`)
}
