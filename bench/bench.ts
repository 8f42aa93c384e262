/** `npm run bench`: the product against a naive peer, path by path, in interleaved rounds. See README.md. */
import pg from 'pg'
import { benchLedger } from './ledger/bench-ledger.ts'
import { type LedgerRow, ledgerRows } from './ledger/ledger-rows.ts'
import { stepsOf } from './load/code-flow.ts'
import type { Path } from './load/path.ts'
import { type Comparison, compare, type Sides } from './measure/compare.ts'
import { residentMegabytes } from './measure/memory.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { allPaths, chooseNamed } from './paths.ts'
import type { Stopping } from './processes/stopping.ts'
import { saveResults } from './report/results.ts'
import { summarise } from './report/summary.ts'
import { quietness, renderTable, verdict } from './report/table.ts'
import { startSides } from './sides.ts'

const say = (text: string) => process.stdout.write(`${text}\n`)

async function main(): Promise<number> {
  const order = readOrder()
  if (order === undefined) return 2
  const { options, paths, rows } = order
  const stopping: Stopping = []
  const stop = () => stopAll(stopping)
  stopOnSignal(stop)
  try {
    if (options.ledger) return verdictOnLedger(await benchLedger(options, rows, stopping, say))
    const { sides, adminUrl } = await startSides(options, stopping, say)
    const admin = new pg.Client(adminUrl)
    await admin.connect()
    stopping.push(() => admin.end())
    const comparisons: Comparison[] = []
    for (const path of paths) comparisons.push(await compare(admin, sides, path, options, (text) => say(`  ${text}`)))
    return await report(options, admin, sides, comparisons)
  } finally {
    await stop()
  }
}

function verdictOnLedger(short: readonly string[]): number {
  say(short.length === 0 ? '\nEvery row is what it should be.' : `\nShort of what it should be: ${short.join('; ')}.`)
  return short.length === 0 ? 0 : 1
}

type Order = { readonly options: Options; readonly paths: readonly Path[]; readonly rows: readonly LedgerRow[] }

/** What is to be measured, of the paths or of the ledger. Undefined when that cannot be said, which costs nobody the minutes of a start. */
function readOrder(): Order | undefined {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options.ledger) return { options, paths: [], rows: chooseNamed(ledgerRows(options), options.paths) }
    const paths = chooseNamed(allPaths, options.paths).filter(({ sidesFrom }) => !options.selfCheck || sidesFrom === undefined)
    return { options, paths, rows: [] }
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return undefined
  }
}

/** What cannot be stopped is said, and the rest is stopped all the same. */
async function stopAll(stopping: Stopping): Promise<void> {
  for (const end of stopping.splice(0).reverse())
    await end().catch((error: unknown) => say(`could not be stopped: ${error instanceof Error ? error.message : String(error)}`))
}

let interrupted = false

/** Ctrl-C ends the children and the database as the end of a run does; a second one does not wait. */
function stopOnSignal(stop: () => Promise<void>): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (interrupted) process.exit(130)
      interrupted = true
      say(`\n${signal}: stopping what was started`)
      void stop().finally(() => process.exit(130))
    })
}

async function report(options: Options, admin: pg.Client, sides: Sides, comparisons: readonly Comparison[]): Promise<number> {
  const summaries = comparisons.map(summarise)
  const { slower, sentence } = verdict(summaries)
  say(`\n${renderTable(summaries)}\n`)
  for (const { path, consistsOf, generatorShare } of summaries)
    say(`${path}: ${consistsOf}. The load generator took ${Math.round(generatorShare * 100)} % of a core.`)
  for (const line of memory(sides)) say(line)
  for (const side of sides) for (const steps of stepsOf.get(side) ?? []) say(`A code flow of the ${side.name}: ${steps}`)
  const warning = quietness(summaries)
  if (warning !== undefined) say(`\n${warning}`)
  const file = await saveResults({ options, admin, sides, comparisons, summaries })
  say(`\n${options.selfCheck ? 'Self-check: every ratio should be about 1.' : sentence}\nEvery answer was checked. Saved as ${file}`)
  return slower.length > 0 && !options.selfCheck ? 1 : 0
}

/** After all that load: what leaks shows here. */
const memory = (sides: Sides): string[] =>
  sides.flatMap(({ name, pids }) => {
    const megabytes = residentMegabytes(pids)
    return megabytes === undefined ? [] : [`${name}: its processes hold ${megabytes.map(Math.round).join(', ')} MB at the end.`]
  })

try {
  process.exitCode = await main()
} catch (error) {
  if (!interrupted) say(`\nThe bench stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  process.exitCode = 1
}
