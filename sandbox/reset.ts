/** `npm run reset`: removes the data of a sandbox that does not run. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runningPort, startEmbeddedPostgres } from '@bankside/service-kit/embedded-postgres'
import { lockHolder, tryLock } from '@bankside/service-kit/folder-lock'
import { explain, Problem } from './problem.ts'
import { placesIn, readSettings } from './settings.ts'
import { endLeftOvers } from './supervisor.ts'

/** What is ours in the folder: whatever else somebody keeps there stays. */
const ours = (home: string): readonly string[] => [
  ...Object.values(placesIn(home)),
  ...['demo-codes.json', 'generated-customers.json'].map((name) => join(home, name)),
]

try {
  await reset()
} catch (error) {
  console.error(explain(error))
  process.exitCode = 1
}

async function reset(): Promise<void> {
  const { home, databaseUrl } = readSettings()
  const places = placesIn(home)
  if (!existsSync(home)) return console.log(`There is nothing in ${home}.`)
  const holder = lockHolder(places.startLock)
  if (holder !== undefined) throw new Problem(`A sandbox is running in ${home} (process ${holder.pid}). Stop it with Ctrl-C first.`)
  const lock = tryLock(places.startLock)
  if ('heldBy' in lock) throw new Problem(`A sandbox is starting in ${home} (process ${lock.heldBy.pid}).`)
  try {
    await endLeftOvers(places.processes)
    if (runningPort(places.postgres) !== undefined) await (await startEmbeddedPostgres({ folder: places.postgres })).stop()
    for (const path of ours(home)) rmSync(path, { recursive: true, force: true })
  } finally {
    lock.release()
  }
  if (readdirSync(home).length === 0) rmSync(home, { recursive: true })
  console.log(`Removed the sandbox in ${home}. The next npm start makes a new one.`)
  if (databaseUrl !== undefined) console.log('The database of DATABASE_URL is yours: drop it, or the next start will not find its secrets.')
}
