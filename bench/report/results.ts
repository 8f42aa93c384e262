import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import path from 'node:path'
import type { Client } from 'pg'
import type { Comparison, Sides } from '../measure/compare.ts'
import { connectionsPerRound } from '../measure/round.ts'
import type { Options } from '../options.ts'
import type { PathSummary } from './summary.ts'

export type Results = {
  readonly options: Options
  readonly admin: Client
  readonly sides: Sides
  readonly comparisons: readonly Comparison[]
  readonly summaries: readonly PathSummary[]
}

const settingsThatMatter = [
  ...['server_version', 'fsync', 'synchronous_commit', 'full_page_writes'],
  ...['shared_buffers', 'max_wal_size', 'checkpoint_timeout'],
]

/** What a figure of this server depends on, by name, in PostgreSQL's own units. */
export async function readServerSettings(admin: Client): Promise<readonly { readonly name: string; readonly setting: string }[]> {
  const { rows } = await admin.query<{ name: string; setting: string }>(
    'select name, setting from pg_settings where name = any($1) order by name',
    [settingsThatMatter],
  )
  return rows
}

/** Everything that was measured and on what, so that a later run can be laid beside it. Returns the file. */
export async function saveResults({ options, admin, sides, comparisons, summaries }: Results): Promise<string> {
  const at = new Date().toISOString()
  const directory = path.join(import.meta.dirname, '../results')
  const file = path.join(directory, `${at.replaceAll(':', '-').slice(0, 19)}.json`)
  const postgres = await readServerSettings(admin)
  const { paths, seconds, rounds, customers, selfCheck } = options
  mkdirSync(directory, { recursive: true })
  writeFileSync(
    file,
    JSON.stringify(
      {
        at,
        commit: commit(),
        options: { paths, seconds, rounds, customers, selfCheck, connections: connectionsPerRound },
        machine: { node: process.version, cores: cpus().length, cpu: cpus()[0]?.model, loadAverage: loadavg() },
        postgres: Object.fromEntries(postgres.map(({ name, setting }) => [name, setting])),
        sides: sides.map(({ name }) => name),
        paths: summaries,
        rounds: comparisons.map((comparison) => ({ path: comparison.path.name, rounds: comparison.rounds })),
      },
      null,
      2,
    ),
  )
  return file
}

function commit(): string | undefined {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return undefined // Not a checkout: the results are as good without it.
  }
}
