import type { Client } from 'pg'
import { readThreadCpu } from './cpu.ts'

/** CPU time by PostgreSQL process. */
export type PostgresCpu = ReadonlyMap<number, number>

/**
 * The processes of PostgreSQL that work for one database: its backends, and the writers that work for all (WAL,
 * checkpoints, I/O). The other side's backends are left out, and so is the connection that asks.
 */
export async function readPostgresCpu(admin: Client, databaseName: string): Promise<PostgresCpu> {
  const { rows } = await admin.query<{ pid: number }>(
    'select pid from pg_stat_activity where pid <> pg_backend_pid() and (datname is null or datname = $1)',
    [databaseName],
  )
  return new Map(rows.map(({ pid }) => [pid, readThreadCpu(pid) ?? Number.NaN]))
}

/** A backend that started in between counts from zero. */
export function postgresCpuBetween(before: PostgresCpu, after: PostgresCpu): number {
  let usedUs = 0
  for (const [pid, at] of after) usedUs += at - (before.get(pid) ?? 0)
  return usedUs
}
