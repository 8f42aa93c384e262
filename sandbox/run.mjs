/**
 * What every npm script starts with: `node sandbox/run.mjs <file.ts> [arguments]`. Runs on Node 20 with nothing installed,
 * so it is plain JavaScript without dependencies. It installs what is missing, finds Node 24, and gets out of the way.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { constants as os, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const installed = join(modules, '.package-lock.json')
const lockFile = join(root, 'package-lock.json')
const running = join(modules, '.running')
const compiled = join(modules, '.compiled')
const installLock = join(tmpdir(), `bankside-install-${createHash('sha256').update(root).digest('hex').slice(0, 16)}.lock`)
const neededMajor = 24
const spaceNeededMb = 1_000
const lookForParentEveryMs = 250
const waitForOtherInstallMs = 10 * 60_000

/** Something that happens to people, with what to do about it. Anything else is a fault of ours and shows its stack. */
class Problem extends Error {}

/** npm writes the hidden lock file last, so one that is there and not older belongs to a finished installation. */
function isInstalled() {
  return existsSync(installed) && existsSync(nodeBinary() ?? '') && sameDependencies()
}

/** A checkout gives files new times; what the two lock files say is what counts. */
function sameDependencies() {
  if (statSync(installed).mtimeMs >= statSync(lockFile).mtimeMs) return true
  const packages = (path) =>
    Object.entries(JSON.parse(readFileSync(path, 'utf8')).packages).filter(([name]) => name.startsWith('node_modules/'))
  const [wanted, present] = [packages(lockFile), new Map(packages(installed))]
  // Packages for other platforms are optional, and not there.
  const asWanted = ([name, { version, optional }]) => (present.has(name) ? present.get(name).version === version : optional)
  return wanted.every(asWanted) && present.size <= wanted.length
}

async function installIfNeeded() {
  if (isInstalled()) return
  const held = await holdInstallLock()
  try {
    if (!isInstalled()) install()
  } finally {
    if (held) rmSync(installLock, { force: true })
  }
}

function install() {
  const user = runningFromHere()
  if (user !== undefined) {
    throw new Problem(`The dependencies have changed, but something is running from this folder (process ${user}). Stop it first.`)
  }
  try {
    accessSync(root, constants.W_OK)
  } catch {
    throw new Problem(`The folder ${root} cannot be written to, so nothing can be installed. Use a copy that belongs to you.`)
  }
  const { bavail, bsize } = statfsSync(root)
  if (bavail * bsize < spaceNeededMb * 1_000_000) throw new Problem(diskIsFull)
  console.error('Installing what Bankside needs (npm ci). This happens once and takes a little while.')
  const [command, first] = npmCommand()
  const args = [...first, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'inherit', 'pipe'],
    env: withoutNpmSettings(),
    shell: command === 'npm.cmd',
  })
  if (result.signal) throw new Problem('The installation was interrupted. Run the same command again.')
  if (result.status !== 0 || result.error) throw new Problem(explain(`${result.stderr ?? ''}${result.error?.message ?? ''}`))
  refuseBroken()
}

/** npm takes a package that was cut short by a full disk for installed, if it is an optional one, as Node 24 is. */
function refuseBroken() {
  const node = nodeBinary()
  if (node === undefined || spawnSync(node, ['--version']).status === 0) return
  rmSync(installed, { force: true })
  throw new Problem('What was installed does not run: perhaps the disk was full. Make room and run the same command again.')
}

/** npm as it runs this script, or the one next to this Node. */
function npmCommand() {
  const npm = process.env.npm_execpath
  if (npm?.endsWith('npm-cli.js')) return [process.execPath, [npm]]
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm', []]
}

/** `npm start --silent` and the like are meant for the script, not for the installation. */
function withoutNpmSettings() {
  const kept = /^npm_config_(registry|.*proxy|cafile|cache|userconfig|globalconfig|prefix|strict_ssl|.*_authtoken)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_') || kept.test(name)))
}

const diskIsFull = `The disk is too full: the dependencies need ${spaceNeededMb} MB. Make room and run the same command again.`

const explanations = [
  [/ENOSPC|no space left/i, diskIsFull],
  [/EACCES|EPERM|EROFS/, `Files could not be written (in ${root}, or in npm's cache). Use a copy that belongs to you.`],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|network/i,
    'The npm registry cannot be reached, so the dependencies cannot be installed. Check the network (or the proxy settings of npm) and run the same command again.',
  ],
  [/ENOENT/, 'npm was not found. It comes with Node.js: https://nodejs.org'],
]

function explain(output) {
  const [, sentence] = explanations.find(([pattern]) => pattern.test(output)) ?? []
  return sentence ?? `The dependencies could not be installed. npm said:\n\n${output.trim().split('\n').slice(-15).join('\n')}`
}

/** Two that start at once in a new checkout: the second waits for the first. */
async function holdInstallLock() {
  for (const deadline = Date.now() + waitForOtherInstallMs, said = { once: false }; ; await new Promise((done) => setTimeout(done, 300))) {
    const draft = `${installLock}.${process.pid}`
    try {
      writeFileSync(draft, String(process.pid))
      linkSync(draft, installLock)
      return true
    } catch (error) {
      if (['EACCES', 'EROFS', 'EPERM'].includes(error.code)) return false
      if (error.code === 'ENOSPC') throw new Problem(explain('ENOSPC'))
      if (error.code !== 'EEXIST') throw error
    } finally {
      rmSync(draft, { force: true })
    }
    const holder = Number(readIfThere(installLock))
    if (holder && !isAlive(holder)) rmSync(installLock, { force: true })
    else if (Date.now() > deadline)
      throw new Problem(`Process ${holder} has been installing for too long. If it is not, remove ${installLock}.`)
    else if (!said.once) console.error(`Waiting for another installation in this folder (process ${holder}).`)
    said.once = true
  }
}

/** Every running script leaves its number, so that nobody installs under its feet. */
function runningFromHere() {
  const left = existsSync(running) ? readdirSync(running) : []
  return left.map(Number).find((pid) => pid !== process.pid && isAlive(pid))
}

function noteRunning() {
  const note = join(running, String(process.pid))
  try {
    mkdirSync(running, { recursive: true })
    writeFileSync(note, '')
  } catch {
    // A folder that cannot be written to cannot be installed into either.
    return
  }
  process.on('exit', () => rmSync(note, { force: true }))
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** The one that came with the dependencies; this one, if it is new enough, where there is none for the platform. */
function nodeBinary() {
  const [platform, extension] = process.platform === 'win32' ? ['win', '.exe'] : [process.platform, '']
  const names = [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`]
  const packaged = names.map((name) => join(modules, name, 'bin', `node${extension}`)).find((path) => existsSync(path))
  return packaged ?? (Number(process.versions.node.split('.')[0]) >= neededMajor ? process.execPath : undefined)
}

async function runFile([file, ...args]) {
  if (file === undefined) throw new Problem('usage: node sandbox/run.mjs <file.ts> [arguments]')
  const node = nodeBinary()
  if (node === undefined) {
    const platform = `${process.platform}-${process.arch}`
    throw new Problem(
      `Node.js ${process.version} is running this, and no Node ${neededMajor} can be installed for ${platform}. Install Node.js ${neededMajor}: https://nodejs.org`,
    )
  }
  noteRunning()
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', join(root, file), ...args], {
    // A process that finds itself compiled starts in half the time; so do those that it starts.
    env: { NODE_COMPILE_CACHE: compiled, ...process.env },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  // A terminal sends Ctrl-C to the child as well, npm may send it once more: the child counts the first one only. What is
  // sent to this process alone must reach it too, and this process ends when, and as, the child does. If it is
  // killed, the child learns it from the channel between them.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  if (process.env.npm_lifecycle_event !== undefined) whenParentIsGone(() => child.kill('SIGTERM'))
  const [code, signal] = await new Promise((done, failed) => child.once('exit', (...how) => done(how)).once('error', failed))
  process.exitCode = signal === null ? code : 128 + os.signals[signal]
}

/** npm runs a script in a shell, which dies of the signal that npm hands on and tells nobody. */
function whenParentIsGone(act) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    act()
  }, lookForParentEveryMs)
  timer.unref()
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

try {
  await installIfNeeded()
  await runFile(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Problem)) throw error
  console.error(error.message)
  process.exitCode = 1
}
