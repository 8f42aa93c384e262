import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import { Unavailable } from './refusal.ts'

/** A Lua script: Redis runs it as one step, whoever else asks at the same time. */
export type RedisScript = { readonly lua: string; readonly sha1: string }

export const redisScript = (lua: string): RedisScript => ({ lua, sha1: createHash('sha1').update(lua).digest('hex') })

export type RedisStore = {
  /** @throws {Unavailable} when Redis cannot be reached, does not answer in time, or cannot be relied on. */
  run(script: RedisScript, keys: readonly string[], values?: readonly (string | number)[]): Promise<unknown>
  /** @throws {Unavailable} as above. */
  check(): Promise<void>
  end(): Promise<void>
}

export type RedisOptions = {
  /** `redis://` or, over TLS, `rediss://`, with the user and password of an ACL user. */
  readonly url: string
  /** PEM of the authority that issued Redis' certificate; else those that Node trusts. */
  readonly ca?: string | undefined
  /** Told when the connection is lost, comes back, or what it leads to cannot be relied on. */
  readonly onChange: (state: 'lost' | 'ready' | 'unfit', reason: string) => void
}

export const redisKeyPrefix = 'bankside:'

/**
 * ACL lines: one user, who may do what our processes do, on our keys, and nothing else. Nobody signs in as the default user,
 * but it may do everything: in its name Redis replays, at a start, what scripts wrote, and drops without a word what it may not.
 */
export const redisUsers = (password: string): readonly string[] => [
  'user default off resetpass ~* &* +@all',
  `user bankside on >${password} resetkeys ~${redisKeyPrefix}* resetchannels nocommands ${commands.map((command) => `+${command}`).join(' ')}`,
]

const ofScripts = ['get', 'set', 'del', 'exists', 'hset', 'hsetnx', 'hget', 'hmget', 'sadd', 'smembers', 'pexpireat', 'pttl']
const commands = [...ofScripts, 'evalsha', 'eval', 'hello', 'ping', 'info', 'config|get', 'select', 'quit']

const commandTakesAtMostMs = 2_000
const connectTakesAtMostMs = 5_000
const longestRetryMs = 2_000

/**
 * A Redis that keeps what it was told. Every new connection is asked first whether it does: one that evicts, or answers
 * before its disk has a write, could forget that something was used. A command whose answer is lost is not sent again.
 *
 * @throws {Unavailable} when it cannot be reached, or is unfit.
 */
export async function openRedis({ url, ca, onChange }: RedisOptions): Promise<RedisStore> {
  const client = new Redis(url, {
    ...(url.startsWith('rediss:') && { tls: { servername: new URL(url).hostname, ...(ca !== undefined && { ca }) } }),
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableAutoPipelining: true,
    commandTimeout: commandTakesAtMostMs,
    connectTimeout: connectTakesAtMostMs,
    retryStrategy: (times) => Math.min(50 * times, longestRetryMs),
    disableClientInfo: true,
  })
  let unfit: string | undefined = 'it was not asked yet'
  const examine = async () => {
    try {
      unfit = await unfitness(client)
    } catch (error) {
      unfit = `it does not say how it keeps data (${(error as Error).message})`
    }
    onChange(unfit === undefined ? 'ready' : 'unfit', unfit ?? 'it keeps what it is told')
  }
  client.on('error', () => {}) // Told with `close`, once for each connection.
  client.on('close', () => {
    if (unfit !== undefined) return
    unfit = 'the connection was lost'
    onChange('lost', unfit)
  })
  const assertFit = () => {
    if (unfit !== undefined) throw new Unavailable(`Redis cannot be relied on: ${unfit}`)
  }
  await client.connect().catch((error: unknown) => {
    client.disconnect()
    throw new Unavailable('Redis cannot be reached', { cause: error })
  })
  await examine()
  client.on('ready', () => void examine())
  try {
    assertFit()
  } catch (error) {
    client.disconnect()
    throw error
  }
  return {
    async run(script, keys, values = []) {
      assertFit()
      const rest = [keys.length, ...keys, ...values] as [number, ...(string | number)[]]
      try {
        return await client.evalsha(script.sha1, ...rest)
      } catch (error) {
        if (!isMissingScript(error)) throw unavailable(error) ?? error
        return await client.eval(script.lua, ...rest).catch((again: unknown) => {
          throw unavailable(again) ?? again
        })
      }
    },
    async check() {
      assertFit()
      await client.ping().catch((error: unknown) => {
        throw unavailable(error) ?? error
      })
    },
    end: async () => {
      if (client.status === 'ready') await client.quit().catch(() => client.disconnect())
      else client.disconnect()
    },
  }
}

const wanted = { 'maxmemory-policy': 'noeviction', appendonly: 'yes', appendfsync: 'always' } as const

/** Why what this Redis is told may be forgotten; undefined when it is kept. */
async function unfitness(client: Redis): Promise<string | undefined> {
  for (const [setting, value] of Object.entries(wanted)) {
    const [, is] = (await client.config('GET', setting)) as string[]
    if (is !== value) return `${setting} is ${is ?? 'unknown'}, not ${value}`
  }
  const role = /^role:(\w+)/m.exec(await client.info('replication'))?.[1]
  return role === 'master' ? undefined : `it is a ${role ?? 'server of unknown role'}`
}

const isMissingScript = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT')

/** Whatever is not an error in the command itself: lost, too slow, loading, full, a replica, without permission. */
function unavailable(error: unknown): Unavailable | undefined {
  if (error instanceof Unavailable) return error
  const ofTheCommand = error instanceof Error && error.name === 'ReplyError' && /^(ERR|WRONGTYPE)\b/.test(error.message)
  return ofTheCommand ? undefined : new Unavailable('Redis does not answer now', { cause: error })
}
