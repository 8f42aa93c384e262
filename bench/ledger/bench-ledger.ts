import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import type { Options } from '../options.ts'
import type { Stopping } from '../processes/stopping.ts'
import { readServerSettings } from '../report/results.ts'
import { median, spread } from '../report/statistics.ts'
import { startProductTarget } from '../targets/product.ts'
import { fillLedger } from './ledger-database.ts'
import { type LedgerRow, type LedgerStage, ledgerSizes } from './ledger-rows.ts'
import { startLoadProcess } from './load-process.ts'
import { measure, type Sample } from './measure-ledger.ts'
import { prepareTpcB } from './pgbench.ts'

/** What a million accounts and their postings need: both sides find their pages in memory, and no checkpoint falls into a round. */
const serverOfItsSize = { shared_buffers: '3GB', max_wal_size: '16GB', checkpoint_timeout: '1h' }

/**
 * Through HTTP, too, two transfers at a time seldom meet: of the ten thousand accounts of the ledger they seldom do, either. Each pays whom it
 * has paid before, as customers mostly do.
 */
const paying = { accounts: 512, payeesOfEach: 4 } as const

type Say = (text: string) => void
type Compared = { readonly row: LedgerRow; readonly pairs: readonly (readonly [referred: Sample, measured: Sample])[] }

/** `npm run bench -- --ledger`: the ledger against `pgbench` on the same server, in turn. Returns the names of rows that fall short. */
export async function benchLedger(options: Options, rows: readonly LedgerRow[], stopping: Stopping, say: Say): Promise<readonly string[]> {
  say('starting a sandbox of its own')
  const { target, adminUrl } = await startProductTarget(Math.max(options.customers, paying.accounts), stopping, {
    postgres: options.large ? serverOfItsSize : undefined,
    paying,
  })
  const admin = new pg.Client(adminUrl)
  await admin.connect()
  stopping.push(() => admin.end())
  say('filling a ledger')
  const small = await fillLedger(adminUrl, ledgerSizes.small, stopping)
  if (options.large) say('filling a large one: this takes some minutes')
  const large = options.large ? await fillLedger(adminUrl, ledgerSizes.large, stopping) : undefined
  const tpcB = await prepareTpcB(adminUrl, stopping)
  const load = await startLoadProcess(stopping)
  const stage = { admin, tpcB, load, target, small, large }
  const compared: Compared[] = []
  for (const row of rows) compared.push(await compareRow(stage, row, options.rounds, say))
  const settings = await readServerSettings(admin)
  say(`\n${table(compared)}\n\nTPC-B by ${tpcB.by}; ${settings.map(({ name, setting }) => `${name} ${setting}`).join(', ')}.`)
  if (large === undefined) say('A million accounts with five million entries: --large.')
  save(compared, settings)
  return compared.filter(fallsShort).map(({ row }) => row.name)
}

async function compareRow(stage: LedgerStage, row: LedgerRow, rounds: number, say: Say): Promise<Compared> {
  const pairs: (readonly [Sample, Sample])[] = []
  const measured = async () => {
    await row.prepares?.(stage)
    return measure(stage.admin, () => row.measured(stage))
  }
  const referred = () => measure(stage.admin, () => row.referred(stage))
  await row.warms?.(stage)
  await measured()
  for (let round = 0; round < rounds; round++) {
    const [one, other] = round % 2 === 0 ? [await referred(), await measured()] : [await measured(), await referred()]
    const pair = round % 2 === 0 ? ([one, other] as const) : ([other, one] as const)
    pairs.push(pair)
    say(`  ${row.name}: round ${round + 1} of ${rounds}, ${(pair[1].perSecond / pair[0].perSecond).toFixed(2)}x`)
  }
  return { row, pairs }
}

const ratioOf = ({ pairs }: Compared) => spread(pairs.map(([referred, measured]) => measured.perSecond / referred.perSecond))
const cpuOf = ({ postgresUs, clientUs }: Sample) =>
  postgresUs === undefined || clientUs === undefined ? Number.NaN : postgresUs + clientUs
const medianOf = (samples: readonly Sample[], pick: (sample: Sample) => number | undefined) =>
  median(samples.map((sample) => pick(sample) ?? Number.NaN))
const p99Of = ({ pairs }: Compared) =>
  medianOf(
    pairs.map(([, measured]) => measured),
    ({ p99Ms }) => p99Ms,
  )

function fallsShort(compared: Compared): boolean {
  const { wanted, p99Ms } = compared.row
  return (wanted !== undefined && ratioOf(compared).median < wanted) || (p99Ms !== undefined && p99Of(compared) > p99Ms)
}

function table(compared: readonly Compared[]): string {
  const head = [
    'operation',
    '/s',
    'p50 ms',
    'p99 ms',
    'PG µs',
    'client µs',
    'WAL bytes',
    'compared with',
    '/s',
    'PG µs',
    'ratio (least–most)',
    'CPU ratio',
    'wanted',
  ]
  const lines = compared.map((one) => {
    const [referred, measured] = [one.pairs.map(([sample]) => sample), one.pairs.map(([, sample]) => sample)]
    const { median: ratio, least, most } = ratioOf(one)
    const cpuRatio = median(one.pairs.map(([first, second]) => cpuOf(first) / cpuOf(second)))
    const whole = (samples: readonly Sample[], pick: (sample: Sample) => number | undefined) => number(medianOf(samples, pick))
    const exact = (pick: (sample: Sample) => number | undefined) => number(medianOf(measured, pick), 1)
    return [
      ...[one.row.name, whole(measured, ({ perSecond }) => perSecond), exact(({ p50Ms }) => p50Ms), exact(({ p99Ms }) => p99Ms)],
      ...[
        whole(measured, ({ postgresUs }) => postgresUs),
        whole(measured, ({ clientUs }) => clientUs),
        whole(measured, ({ walBytes }) => walBytes),
      ],
      ...[one.row.reference, whole(referred, ({ perSecond }) => perSecond), whole(referred, ({ postgresUs }) => postgresUs)],
      ...[
        `${ratio.toFixed(2)}x (${least.toFixed(2)}–${most.toFixed(2)})`,
        number(cpuRatio, 2),
        one.row.wanted === undefined ? '–' : `${one.row.wanted.toFixed(2)}x${fallsShort(one) ? ' !' : ''}`,
      ],
    ]
  })
  const all = [head, ...lines]
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)))
  return all
    .map((line) =>
      line
        .map((cell, column) => (column === 0 || column === 7 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .join('\n')
}

const number = (value: number, digits = 0) =>
  Number.isNaN(value) ? '–' : value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits })

function save(compared: readonly Compared[], postgres: readonly object[]): void {
  const at = new Date().toISOString()
  const directory = path.join(import.meta.dirname, '../results')
  mkdirSync(directory, { recursive: true })
  const rows = compared.map(({ row, pairs }) => ({ name: row.name, reference: row.reference, wanted: row.wanted, pairs }))
  writeFileSync(
    path.join(directory, `ledger-${at.replaceAll(':', '-').slice(0, 19)}.json`),
    JSON.stringify({ at, node: process.version, postgres, rows }, null, 2),
  )
}
