/** Started by test-postgres.ts: stops the tests' PostgreSQL when nobody has used it for a while, and removes it. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { systemClock } from './clock.ts'
import { lock, tryLock } from './folder-lock.ts'
import { idleMs, startTestPostgres } from './test-postgres.ts'

const lookEveryMs = 15_000
const stopAfterIdleMs = 120_000

const [folder] = process.argv.slice(2)
if (folder !== undefined && existsSync(folder)) await keep(folder)

async function keep(folder: string): Promise<void> {
  const keeping = tryLock(join(folder, 'keeper.lock'))
  if ('heldBy' in keeping) return
  for (;;) {
    await sleep(lookEveryMs)
    const using = await lock(join(folder, 'use.lock'), { timeoutMs: 60_000 })
    try {
      const server = await startTestPostgres(folder)
      if (idleMs(folder, systemClock.now()) < stopAfterIdleMs || (await connections(server.url)) > 0) continue
      await server.stop()
      rmSync(join(folder, 'postgres'), { recursive: true, force: true })
      keeping.release()
      return
    } finally {
      using.release()
    }
  }
}

async function connections(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    )
    return rows[0]?.count ?? 0
  } finally {
    await client.end()
  }
}
