/** The bootstrap of every npm script, in a repository of its own that stands for a fresh clone. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, beforeEach, test } from 'node:test'

const parent = mkdtempSync(join(tmpdir(), 'bankside run '))
const clone = join(parent, 'fresh clone')
const packagedNode = process.execPath
after(() => rmSync(parent, { recursive: true, force: true }))

/** What npm would do: notes that it ran, and puts Node where the platform package has it. */
const fakeNpm = `
import { mkdirSync, symlinkSync, writeFileSync, appendFileSync, copyFileSync, existsSync } from 'node:fs'
appendFileSync(process.env.NPM_LOG, process.argv.slice(2).join(' ') + '\\n')
if (process.env.NPM_FAILS) { console.error(process.env.NPM_FAILS); process.exit(1) }
await new Promise((done) => setTimeout(done, 300))
const folder = 'node_modules/node-' + process.platform + '-' + process.arch + '/bin'
mkdirSync(folder, { recursive: true })
if (!existsSync(folder + '/node')) symlinkSync(${JSON.stringify(packagedNode)}, folder + '/node')
copyFileSync('package-lock.json', 'node_modules/.package-lock.json')
`

beforeEach(() => {
  rmSync(clone, { recursive: true, force: true })
  mkdirSync(join(clone, 'sandbox'), { recursive: true })
  cpSync(join(import.meta.dirname, 'run.mjs'), join(clone, 'sandbox', 'run.mjs'))
  writeFileSync(join(clone, 'package-lock.json'), JSON.stringify({ packages: { '': {}, 'node_modules/zod': { version: '4.0.0' } } }))
  mkdirSync(join(parent, 'npm'), { recursive: true })
  writeFileSync(join(parent, 'npm', 'npm-cli.js'), fakeNpm)
  writeFileSync(join(parent, 'npm', 'package.json'), '{"type":"module"}')
  writeFileSync(join(parent, 'npm.log'), '')
  writeFileSync(
    join(clone, 'hello.ts'),
    `const greeting: string = 'hello'; console.log(greeting, process.argv.slice(2)); process.exitCode = 7`,
  )
})

const environment = () => ({
  ...process.env,
  npm_execpath: join(parent, 'npm', 'npm-cli.js'),
  NPM_LOG: join(parent, 'npm.log'),
  NODE_TEST_CONTEXT: '',
  NODE_COMPILE_CACHE: undefined,
})

function run(args: string[], extra: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(clone, 'sandbox', 'run.mjs'), ...args], {
    encoding: 'utf8',
    env: { ...environment(), ...extra },
  })
  return { status, stdout, stderr }
}

const installations = () =>
  spawnSync('cat', [join(parent, 'npm.log')], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(Boolean).length

test('no network, a full disk, files that may not be written: a plain sentence each, status 1, no stack', () => {
  const cases = [
    ['npm error code ENOTFOUND registry.npmjs.org', /registry cannot be reached/],
    ['npm error code ENOSPC', /disk is too full/],
    ['npm error code EACCES /home/x/.npm', /could not be written/],
    ['npm error something else', /could not be installed\. npm said:[\s\S]*something else/],
  ] as const
  for (const [NPM_FAILS, sentence] of cases) {
    const { status, stderr } = run(['hello.ts'], { NPM_FAILS })
    assert.equal(status, 1)
    assert.match(stderr, sentence)
    assert.doesNotMatch(stderr, /\n\s+at /)
  }
})

test('a file that is not named is asked for', () => {
  assert.match(run([]).stderr, /usage/)
})

test('a fresh clone installs once, says so in one line, and runs the file with its arguments and its status', () => {
  const first = run(['hello.ts', 'a', 'b c'])
  assert.deepEqual([first.status, first.stdout], [7, "hello [ 'a', 'b c' ]\n"])
  assert.equal(first.stderr, 'Installing what Bankside needs (npm ci). This happens once and takes a little while.\n')
  assert.deepEqual(run(['hello.ts']), { status: 7, stdout: 'hello []\n', stderr: '' })
  assert.equal(installations(), 1)
})

test('what is run is kept compiled, for the next start and for what it starts, where a new installation removes it', () => {
  writeFileSync(join(clone, 'hello.ts'), `console.log(process.env.NODE_COMPILE_CACHE)`)
  const folder = join(clone, 'node_modules', '.compiled')
  assert.equal(run(['hello.ts']).stdout, `${folder}\n`)
  assert.ok(existsSync(folder))
  assert.equal(run(['hello.ts'], { NODE_COMPILE_CACHE: join(parent, 'elsewhere') }).stdout, `${join(parent, 'elsewhere')}\n`)
})

test('a lock file that is newer but says the same installs nothing; one that says something else installs', () => {
  run(['hello.ts'])
  const later = new Date(Date.now() + 60_000)
  utimesSync(join(clone, 'package-lock.json'), later, later)
  run(['hello.ts'])
  assert.equal(installations(), 1)
  writeFileSync(join(clone, 'package-lock.json'), JSON.stringify({ packages: { '': {}, 'node_modules/zod': { version: '4.0.1' } } }))
  utimesSync(join(clone, 'package-lock.json'), later, later)
  run(['hello.ts'])
  assert.equal(installations(), 2)
})

test('two that start at once in a fresh clone install once', async () => {
  const both = [1, 2].map(() =>
    spawn(process.execPath, [join(clone, 'sandbox', 'run.mjs'), 'hello.ts'], { env: environment(), stdio: 'ignore' }),
  )
  assert.deepEqual(await Promise.all(both.map(async (child) => (await once(child, 'exit'))[0])), [7, 7])
  assert.equal(installations(), 1)
})

test('nothing is installed under the feet of something that runs', async () => {
  writeFileSync(join(clone, 'wait.ts'), `console.log('up'); setInterval(() => {}, 1000)`)
  run(['hello.ts'])
  const waiting = spawn(process.execPath, [join(clone, 'sandbox', 'run.mjs'), 'wait.ts'], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(waiting.stdout, 'data')
  writeFileSync(join(clone, 'package-lock.json'), JSON.stringify({ packages: { '': {}, 'node_modules/zod': { version: '5.0.0' } } }))
  const later = new Date(Date.now() + 60_000)
  utimesSync(join(clone, 'package-lock.json'), later, later)
  const { status, stderr } = run(['hello.ts'])
  waiting.kill('SIGTERM')
  await once(waiting, 'exit')
  assert.equal(status, 1)
  assert.match(stderr, /something is running from this folder \(process \d+\)\. Stop it first/)
  assert.equal(run(['hello.ts']).status, 7)
})

test('a signal reaches the file, whose end is the end of all; a kill -9 reaches it too, as a disconnect', async () => {
  writeFileSync(
    join(clone, 'wait.ts'),
    `process.on('SIGTERM', () => process.exit(5)); process.on('disconnect', () => process.exit(6)); console.log(process.pid); setInterval(() => {}, 1000)`,
  )
  const start = async () => {
    const child = spawn(process.execPath, [join(clone, 'sandbox', 'run.mjs'), 'wait.ts'], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return { child, pid: Number(String((await once(child.stdout, 'data'))[0])) }
  }
  const asked = await start()
  asked.child.kill('SIGTERM')
  assert.deepEqual(await once(asked.child, 'exit'), [5, null])
  const killed = await start()
  killed.child.kill('SIGKILL')
  await once(killed.child, 'exit')
  await assert.doesNotReject(gone(killed.pid))
})

test('what was installed and does not run, as after a full disk, is not taken for installed', () => {
  const broken = join(clone, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  mkdirSync(dirname(broken), { recursive: true })
  writeFileSync(broken, '#!/bin/sh\nexit 1\n')
  chmodSync(broken, 0o755)
  const { status, stderr } = run(['hello.ts'])
  assert.equal(status, 1)
  assert.match(stderr, /does not run: perhaps the disk was full/)
  rmSync(broken)
  symlinkSync(packagedNode, broken)
  assert.equal(run(['hello.ts']).status, 7)
  assert.ok(existsSync(join(clone, 'node_modules', '.package-lock.json')))
})

async function gone(pid: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      process.kill(pid, 0)
    } catch {
      return // ESRCH is the answer that was asked for.
    }
    await new Promise((done) => setTimeout(done, 20))
  }
  throw new Error(`process ${pid} still runs`)
}
