import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { currentEnvironment } from './config.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres, throwaway } from './embedded-postgres.ts'
import { lock, lockHolder } from './folder-lock.ts'

const waitAtMostMs = 60_000

/**
 * Where tests find a PostgreSQL: `TEST_DATABASE_URL` if somebody set it, else one that all test files of this checkout
 * share. The first of them starts it; a keeper process stops it, and removes it, when it has been idle for a while.
 */
export async function testPostgresUrl(): Promise<string> {
  const given = currentEnvironment()['TEST_DATABASE_URL']
  if (given) return given
  const folder = testPostgresFolder()
  const using = await lock(join(folder, 'use.lock'), { timeoutMs: waitAtMostMs })
  try {
    const { url } = await startTestPostgres(folder)
    writeFileSync(lastUse(folder), '')
    if (lockHolder(join(folder, 'keeper.lock')) === undefined) startKeeper(folder)
    return url
  } finally {
    using.release()
  }
}

export function startTestPostgres(folder: string): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ folder: join(folder, 'postgres'), settings: { ...throwaway, max_connections: '400' } })
}

export function idleMs(folder: string, now: Date): number {
  return now.getTime() - statSync(lastUse(folder)).mtimeMs
}

const lastUse = (folder: string) => join(folder, 'last-use')

/** In the folder of the machine for temporary files, which everybody can write to: one that another user made is refused. */
function testPostgresFolder(): string {
  const checkout = createHash('sha256')
    .update(resolve(import.meta.dirname, '..'))
    .digest('hex')
    .slice(0, 12)
  const uid = process.getuid?.()
  const folder = join(tmpdir(), `bankside-tests-${uid ?? 'user'}-${checkout}`)
  mkdirSync(folder, { recursive: true, mode: uid === 0 ? 0o711 : 0o700 })
  if (uid !== undefined && lstatSync(folder).uid !== uid) throw new Error(`${folder} belongs to another user: remove it, or set TMPDIR`)
  return folder
}

function startKeeper(folder: string): void {
  spawn(process.execPath, [join(import.meta.dirname, 'test-postgres-keeper.ts'), folder], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
  }).unref()
}
