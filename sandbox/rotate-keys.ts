/**
 * `npm run rotate-keys`: gives every signing key and secret that changes a successor. It is published at once, signs after
 * `--ahead`, and what it replaced ends `--kept` later; running processes follow the files. Of a sandbox, or of the files
 * that SIGNING_KEYS_FILE, SECRETS_FILE, NOTIFICATION_KEYS_FILE and AUDIT_KEYS_FILE name. With `--every 30d` it stays and does so
 * whenever the newest is that old.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '@bankside/service-kit/clock'
import { readConfig } from '@bankside/service-kit/config'
import { z } from 'zod'
import { type KeyFiles, keyFilesOf, type RotationTimes, rotateKeys } from './key-rotation.ts'
import { explain, Problem } from './problem.ts'
import { placesIn, readSettings } from './settings.ts'

const minute = 60
const hour = 60 * minute
const day = 24 * hour
const units: Readonly<Record<string, number>> = { m: minute, h: hour, d: day }

/** Key sets are cached for five minutes, by what we say and by our own resource API; some third parties take longer. */
const shortestAheadSeconds = 10 * minute
/** Sessions and journeys last an hour at most, tokens five minutes. */
const shortestKeptSeconds = 2 * hour
const lookEveryMs = hour * 1000

if (import.meta.main) {
  try {
    await run(process.argv.slice(2))
  } catch (error) {
    console.error(explain(error))
    process.exitCode = 1
  }
}

async function run(args: string[]): Promise<void> {
  const { every, ...wanted } = readArguments(args)
  const files = keyFiles()
  for (;;) {
    await rotate(files, { ...wanted, now: systemClock.now() })
    if (every === undefined) return
    await sleep(lookEveryMs)
  }
}

async function rotate(files: KeyFiles, times: RotationTimes): Promise<void> {
  const rotated = await rotateKeys(files, times)
  if (rotated === undefined) return console.log('Nothing to do: the newest keys are new enough, or wait to be used.')
  const { kids, signFrom, retiredAt } = rotated
  console.log(`Published ${kids.join(', ')}. They sign from ${signFrom.toISOString()}; those before end at ${retiredAt.toISOString()}.`)
}

function readArguments(args: string[]) {
  const { values } = parse(args)
  const aheadSeconds = duration(values.ahead, shortestAheadSeconds, 'ahead')
  const keptSeconds = duration(values.kept, shortestKeptSeconds, 'kept')
  const every = values.every === undefined ? undefined : duration(values.every, day, 'every')
  const olderThanSeconds = values['if-older-than'] === undefined ? every : duration(values['if-older-than'], day, 'if-older-than')
  return { aheadSeconds, keptSeconds, every, olderThanSeconds }
}

function parse(args: string[]) {
  try {
    const text = { type: 'string' } as const
    return parseArgs({
      args,
      options: { ahead: { ...text, default: '1h' }, kept: { ...text, default: '1d' }, every: text, 'if-older-than': text },
    })
  } catch (error) {
    throw new Problem(
      `${(error as Error).message}\nusage: npm run rotate-keys -- [--ahead 1h] [--kept 1d] [--if-older-than 30d | --every 30d]`,
    )
  }
}

function duration(text: string, atLeastSeconds: number, name: string): number {
  const [, count, unit = ''] = /^(\d{1,4})([mhd])$/.exec(text) ?? []
  const seconds = Number(count) * (units[unit] ?? Number.NaN)
  if (!(seconds >= atLeastSeconds))
    throw new Problem(`--${name} is a time such as 90m, 1h or 30d, of at least ${atLeastSeconds / minute}m.`)
  return seconds
}

/** Of a bank's own files, or of the sandbox. */
function keyFiles(): KeyFiles {
  const path = z.string().optional()
  const audit = { AUDIT_KEYS_FILE: path, AUDIT_PUBLIC_KEYS_FILE: path }
  const given = readConfig(z.object({ SIGNING_KEYS_FILE: path, SECRETS_FILE: path, NOTIFICATION_KEYS_FILE: path, ...audit }))
  if ((given.SIGNING_KEYS_FILE === undefined) !== (given.SECRETS_FILE === undefined))
    throw new Problem('SIGNING_KEYS_FILE and SECRETS_FILE belong together: set both or neither.')
  if (given.SIGNING_KEYS_FILE !== undefined && given.SECRETS_FILE !== undefined)
    return {
      signingKeys: given.SIGNING_KEYS_FILE,
      secrets: given.SECRETS_FILE,
      notificationKeys: given.NOTIFICATION_KEYS_FILE,
      auditKeys: given.AUDIT_KEYS_FILE,
      auditPublicKeys: given.AUDIT_PUBLIC_KEYS_FILE,
    }
  return keyFilesOf(placesIn(readSettings().home))
}
