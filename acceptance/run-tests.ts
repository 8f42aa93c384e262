/**
 * `npm test`: prepares what tests need, runs every test file of the repository, and ends with the counts.
 * Arguments are file patterns: `npm test -- "bank/**"`.
 */
import { existsSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { testPostgresUrl } from '@bankside/service-kit/test-postgres'
import pg from 'pg'
import { launchBrowser } from './browser/launch-browser.ts'

const repository = path.join(import.meta.dirname, '..')
const fileTakesAtMostMs = 300_000
const testTakesAtMostMs = 120_000
const endAfterInterruptMs = 5_000
const filesAtOnce = Math.max(2, Math.min(4, availableParallelism()))
/** The authorization server gives its library modules of its own before it loads it. */
const asTheServerDoes = new URL('../auth-server/testing/with-own-modules.ts', import.meta.url).href
/** Servers that no package carries: without them their tests may be skipped even where nothing else may. */
const mayBeSkipped = /redis|nats/i

type Counts = { tests: number; passed: number; skipped: number; todo: number }
type Outcome = { counts: Counts; failed: string[]; skipped: string[] }

async function main(patterns: readonly string[]): Promise<number> {
  const startedAt = performance.now()
  const files = await testFiles(patterns)
  if (files.length === 0) return complain(`No test file matches ${patterns.join(' ')}.`)
  say(`${files.length} test files, ${filesAtOnce} at once.`)
  const postgres = await preparePostgres()
  if (files.some((file) => file.startsWith('acceptance/') || file.startsWith('consent-ui/'))) await unpackBrowser()
  try {
    const outcome = await runFiles(files)
    return summarise(outcome, (performance.now() - startedAt) / 1000)
  } finally {
    await postgres.end()
  }
}

/** Acceptance first: the longest files at the end would leave a core idle. */
async function testFiles(patterns: readonly string[]): Promise<string[]> {
  const wanted = patterns.length > 0 ? patterns.map(asFilePattern) : ['**/*.test.ts']
  const found = new Set<string>()
  for (const pattern of wanted)
    for await (const file of glob(pattern, { exclude: (name) => ['node_modules', '.git', '.bankside'].includes(path.basename(name)) }))
      if (file.endsWith('.test.ts')) found.add(file)
  const rank = (file: string) => (file.startsWith('acceptance/') ? 0 : 1)
  return [...found].sort((one, other) => rank(one) - rank(other) || one.localeCompare(other))
}

function asFilePattern(pattern: string): string {
  const isFolder = existsSync(pattern) && !pattern.endsWith('.ts')
  return isFolder ? path.join(pattern, '**/*.test.ts') : pattern
}

/**
 * One PostgreSQL for the whole run, under TEST_DATABASE_URL. The connection held here keeps it up while files come and go:
 * it stops by itself some time after the last one has left.
 */
async function preparePostgres(): Promise<pg.Client> {
  const url = await testPostgresUrl()
  process.env['TEST_DATABASE_URL'] = url
  const held = new pg.Client({ connectionString: url })
  await held.connect()
  return held
}

/** Starts it once, before files that run at the same time would each unpack it. A machine without any says so in the tests that need one. */
async function unpackBrowser(): Promise<void> {
  try {
    await (await launchBrowser()).close()
  } catch (error) {
    complain(`No browser: ${(error as Error).message}`)
  }
}

function runFiles(files: string[]): Promise<Outcome> {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      interrupted.abort()
      setTimeout(() => process.exit(complain('Interrupted.')), endAfterInterruptMs).unref()
    })
  const outcome: Outcome = { counts: { tests: 0, passed: 0, skipped: 0, todo: 0 }, failed: [], skipped: [] }
  const events = run({
    files: files.map((file) => path.resolve(file)),
    concurrency: filesAtOnce,
    timeout: fileTakesAtMostMs,
    execArgv: [`--test-timeout=${testTakesAtMostMs}`, `--import=${asTheServerDoes}`],
    signal: interrupted.signal,
  })
  events.on('test:fail', (event) => {
    if (event.details.type !== 'suite') outcome.failed.push(`${nameOf(event.file)}: ${event.name}`)
  })
  events.on('test:pass', (event) => {
    if (event.skip !== undefined && event.skip !== false) outcome.skipped.push(`${nameOf(event.file)}: ${event.name} (${event.skip})`)
  })
  events.on('test:summary', (event) => {
    if (event.file === undefined) outcome.counts = event.counts
  })
  return new Promise((done, failed) => {
    events.once('end', () => done(outcome))
    events.once('error', failed)
    events.compose(spec).pipe(process.stdout, { end: false })
  })
}

function summarise({ counts, failed, skipped }: Outcome, seconds: number): number {
  const notPassed = counts.tests - counts.passed - counts.skipped - counts.todo
  const forbidden = process.env['CI'] ? skipped.filter((test) => !mayBeSkipped.test(test)) : []
  say('')
  for (const test of failed) say(`failed:  ${test}`)
  for (const test of skipped) say(`skipped: ${test}`)
  if (forbidden.length > 0) say(`CI is set: ${forbidden.length} tests must not be skipped here.`)
  say(`# tests ${counts.tests}`)
  say(`# pass ${counts.passed}`)
  say(`# fail ${notPassed}`)
  say(`# skipped ${counts.skipped}`)
  say(`# duration ${seconds.toFixed(1)} s`)
  return counts.tests > 0 && notPassed + failed.length + forbidden.length === 0 ? 0 : 1
}

const nameOf = (file: string | undefined) => (file === undefined ? '' : path.relative(repository, file))

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`)
  return 1
}

process.chdir(repository)
process.exitCode = await main(process.argv.slice(2))
