import { archivableRecords } from '@bankside/bank/audit/archive-records'
import { type Database, lockNotAvailable, sql, sqlState, transact, z } from '@bankside/service-kit/postgres'
import type { WorkerMetrics } from './worker-metrics.ts'

const madePerRound = 100
const droppedPerRound = 20
const analysedPerRound = 20
const analysingMayTakeMs = 15 * 60_000

type Needs = {
  readonly now: Date
  readonly metrics: Pick<WorkerMetrics, 'partitionsMadeAhead' | 'rowsWithoutPartition' | 'keysWrittenSince' | 'partitionsToArchive'>
}

/**
 * Makes partitions ahead, begins the next generation of what is remembered for a day, and drops partitions whose rows have all had their
 * time: how long that is stands in `housekeeping.partitioned_table` and `housekeeping.remembering_table`. Has each analysed once a day, which
 * PostgreSQL does by itself for partitions, not for what they are parts of. What cannot be done now, because the table is in use, is done
 * another time; what fails stands in the way of nothing else.
 *
 * @returns how many were dropped.
 * @throws {AggregateError} of what failed, when all else is done.
 */
export async function keepPartitions(database: Database, { now, metrics }: Needs): Promise<number> {
  const time = sql.timestamp(now)
  const failures: unknown[] = []
  const all = (work: Work, atMost: number, mayTakeMs?: number) => eachInTurn(database, work, { atMost, mayTakeMs, failures })
  await all((skip) => sql.fragment`housekeeping.make_next_partition(${time}, ${skip})`, madePerRound)
  await all((skip) => sql.fragment`housekeeping.begin_generation(${time}, ${skip})`, madePerRound)
  const dropped =
    (await all((skip) => sql.fragment`housekeeping.drop_partition(${time}, ${skip})`, droppedPerRound)) +
    (await all((skip) => sql.fragment`housekeeping.drop_generation(${time}, ${skip})`, droppedPerRound))
  await measure(database, { now, metrics })
  await all((skip) => sql.fragment`housekeeping.analyse_next(${skip})`, analysedPerRound, analysingMayTakeMs)
  if (failures.length > 0) throw new AggregateError(failures, 'some partitions are not as they are to be')
  return dropped
}

/** What is due, after so many that failed. */
type Work = (skip: number) => ReturnType<typeof sql.fragment>
type Turns = { readonly atMost: number; readonly mayTakeMs: number | undefined; readonly failures: unknown[] }

/** @throws when the database does not answer any more. */
async function eachInTurn(database: Database, work: Work, { atMost, mayTakeMs, failures }: Turns): Promise<number> {
  let [done, failed] = [0, 0]
  while (done + failed < atMost)
    try {
      if (!(await one(database, work(failed), mayTakeMs))) break
      done++
    } catch (error) {
      const state = sqlState(error)
      if (state === undefined) throw error
      if (state !== lockNotAvailable) failures.push(error)
      failed++
    }
  return done
}

const nameRow = z.object({ name: z.string().nullable() })

/** One of them, in a transaction of its own: its locks last no longer. It takes as long as any statement may, unless more is said. */
async function one(database: Database, call: ReturnType<typeof sql.fragment>, mayTakeMs?: number): Promise<boolean> {
  const { name } = await transact(database, async (tx) => {
    if (mayTakeMs !== undefined) await tx.query(sql.unsafe`select set_config('statement_timeout', ${`${mayTakeMs}ms`}, true)`)
    return tx.one(sql.type(nameRow)`select ${call} as name`)
  })
  return name !== null
}

const generationRow = z.object({ name: z.string(), begun_at: z.date() })
const stateRow = z.object({ name: z.string(), made_to: z.date().nullable(), misplaced: z.number() })

async function measure(database: Database, { now, metrics }: Needs): Promise<void> {
  const rows = await transact(database, (tx) =>
    tx.any(sql.type(stateRow)`select name, made_to, misplaced from housekeeping.partition_state(${sql.timestamp(now)})`),
  )
  for (const { name, made_to, misplaced } of rows) {
    metrics.partitionsMadeAhead.set({ table: name }, ((made_to ?? now).getTime() - now.getTime()) / 1000)
    metrics.rowsWithoutPartition.set({ table: name }, misplaced)
  }
  const generations = await transact(database, (tx) =>
    tx.any(sql.type(generationRow)`select name, begun_at from housekeeping.generation_state()`),
  )
  for (const { name, begun_at } of generations) metrics.keysWrittenSince.set({ table: name }, begun_at.getTime() / 1000)
  const archivable = await transact(database, archivableRecords)
  metrics.partitionsToArchive.set(archivable.filter(({ dueAt }) => dueAt <= now).length)
}
