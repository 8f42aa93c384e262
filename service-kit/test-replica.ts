import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbeddedPostgres, throwaway } from './embedded-postgres.ts'

export type TestReplica = {
  /** Of the superuser. */
  readonly primaryUrl: string
  /** The same database, role and password, at the replica. */
  readonly atReplica: (url: string) => string
  /** As the superuser, on the replica. */
  readonly askReplica: (text: string) => Promise<Record<string, unknown>[]>
  readonly stopReplica: () => Promise<void>
  readonly startReplica: () => Promise<void>
  readonly stop: () => Promise<void>
}

const settings = { ...throwaway, wal_level: 'replica', max_wal_senders: '2', shared_buffers: '32MB', max_connections: '100' }

/** Two servers of a test's own: one, and a hot standby that streams from it. */
export async function startTestReplica(): Promise<TestReplica> {
  const folder = mkdtempSync(join(tmpdir(), 'bankside-replica-'))
  if (process.getuid?.() === 0) execFileSync('chmod', ['711', folder])
  const [primaryFolder, replicaFolder] = [join(folder, 'primary'), join(folder, 'replica')]
  const first = await startEmbeddedPostgres({ folder: primaryFolder, settings })
  // What was stopped properly is whole: a copy of its files is a base backup.
  await first.stop()
  execFileSync('cp', ['-a', primaryFolder, replicaFolder])
  const primary = await startEmbeddedPostgres({ folder: primaryFolder, settings })
  writeFileSync(join(replicaFolder, 'data', 'standby.signal'), '')
  appendFileSync(join(replicaFolder, 'data', 'postgresql.conf'), `primary_conninfo = '${primary.url}'\nwal_retrieve_retry_interval = 100\n`)
  let replica: EmbeddedPostgres = await startEmbeddedPostgres({ folder: replicaFolder, settings })
  const port = Number(new URL(replica.url).port)
  return {
    primaryUrl: primary.url,
    atReplica: (url) => {
      const other = new URL(url)
      other.port = String(port)
      return other.href
    },
    askReplica: async (text) => {
      const client = new pg.Client({ connectionString: replica.url })
      await client.connect()
      try {
        return (await client.query(text)).rows
      } finally {
        await client.end()
      }
    },
    stopReplica: () => replica.stop(),
    startReplica: async () => {
      replica = await startEmbeddedPostgres({ folder: replicaFolder, settings, port })
    },
    stop: async () => {
      await replica.stop()
      await primary.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
