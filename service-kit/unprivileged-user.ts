import { type ChildProcess, type SpawnOptions, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, readFileSync, statSync } from 'node:fs'

/** How commands are run that refuse to run as root. For everybody else, and for a user that is not root, just as they are. */
export type UnprivilegedUser = {
  runSync(command: string, args: readonly string[]): SpawnSyncReturns<string>
  start(command: string, args: readonly string[], options: SpawnOptions): ChildProcess
  /** Gives a file or folder to that user. */
  own(path: string): void
}

type Identity = { uid: number; gid: number }
const environment = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' }

/**
 * As root there are two ways. Another user of the machine, if that one can reach the program and the folder; else, as
 * below a home that is closed to others, a user namespace, in which root is another user but keeps its reach.
 *
 * @param program what will be run. @param folder what it must reach. @param data whose owner it must be, if it exists.
 */
export function unprivilegedUser({ program, folder, data }: { program: string; folder: string; data: string }): UnprivilegedUser {
  if (process.platform === 'win32' || process.getuid?.() !== 0) return asItself
  const owner = existsSync(data) ? statSync(data) : undefined
  const identity = owner ? { uid: owner.uid, gid: owner.gid } : (lookUp('postgres') ?? lookUp('nobody') ?? { uid: 65_534, gid: 65_534 })
  if (identity.uid !== 0 && canRun(identity, program) && canEnter(identity, folder)) return asUser(identity)
  if (namespacesWork(program)) return inNamespace
  throw new Error(
    `PostgreSQL does not run as root, and no other user can reach ${folder}: use a folder that others can enter, run as a normal user, or set DATABASE_URL`,
  )
}

const asItself: UnprivilegedUser = {
  runSync: (command, args) => spawnSync(command, args, { encoding: 'utf8', env: environmentOfThisSystem() }),
  start: (command, args, options) => spawn(command, args, { ...options, env: environmentOfThisSystem() }),
  own: () => {},
}

/** Windows programs do not start without some of their environment. */
function environmentOfThisSystem(): Record<string, string | undefined> {
  return process.platform === 'win32' ? { SystemRoot: 'C:\\Windows', TZ: 'UTC' } : environment
}

function asUser(identity: Identity): UnprivilegedUser {
  return {
    runSync: (command, args) => spawnSync(command, args, { ...identity, cwd: '/', encoding: 'utf8', env: environment }),
    start: (command, args, options) => spawn(command, args, { ...options, ...identity, cwd: '/', env: environment }),
    own: (path) => chownSync(path, identity.uid, identity.gid),
  }
}

const namespace = ['--user', '--map-user=65534', '--map-group=65534']

const inNamespace: UnprivilegedUser = {
  runSync: (command, args) => spawnSync('unshare', [...namespace, command, ...args], { encoding: 'utf8', env: environment }),
  start: (command, args, options) => spawn('unshare', [...namespace, command, ...args], { ...options, env: environment }),
  own: () => {},
}

function canRun(identity: Identity, program: string): boolean {
  return spawnSync(program, ['--version'], { ...identity, cwd: '/', env: environment }).status === 0
}

function canEnter(identity: Identity, folder: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...identity, cwd: '/', env: environment }).status === 0
}

function namespacesWork(program: string): boolean {
  return spawnSync('unshare', [...namespace, program, '--version'], { env: environment }).status === 0
}

function lookUp(name: string): Identity | undefined {
  const line = existsSync('/etc/passwd')
    ? readFileSync('/etc/passwd', 'utf8')
        .split('\n')
        .find((entry) => entry.startsWith(`${name}:`))
    : undefined
  const [, , uid, gid] = line?.split(':') ?? []
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}
