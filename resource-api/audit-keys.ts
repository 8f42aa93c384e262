import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type AuditKeySet, parseAuditKeys } from '@bankside/bank/audit/audit-keys'
import type { Clock } from '@bankside/service-kit/clock'
import type { Reply } from './api.ts'
import type { Exchange } from './exchange.ts'
import type { Seen } from './observe.ts'
import type { Services } from './pipeline.ts'
import { TooManyRequests } from './request-refusal.ts'
import { send } from './send.ts'

/** Where whoever was given a proof finds what to check it with. Nobody need show a token for it. */
export const auditKeysPath = '/.well-known/audit-keys.json'

export type PublishedKeys = {
  /** @throws when they cannot be read, or are not public. */
  read(): Promise<AuditKeySet>
}

const keptMs = 60_000

/** From a file outside the database: who owns that could otherwise publish keys of their own. Read again, because keys rotate. */
export function publishedKeys(path: string, clock: Clock): PublishedKeys {
  let kept: { readonly keys: AuditKeySet; readonly at: number } | undefined
  return {
    async read() {
      const now = clock.now().getTime()
      if (kept === undefined || now - kept.at >= keptMs) kept = { keys: publicOnly(parseAuditKeys(await readFile(path, 'utf8'))), at: now }
      return kept.keys
    },
  }
}

function publicOnly(keys: AuditKeySet): AuditKeySet {
  if (keys.keys.some(({ d }) => d !== undefined)) throw new Error('the keys to be published have private parts')
  return keys
}

/** As a part of no API: answers to anybody, and is counted and limited by address like all else. */
export function auditKeysServer(keys: PublishedKeys, { observe, limits }: Pick<Services, 'observe' | 'limits'>) {
  return async (exchange: Exchange): Promise<void> => {
    const seen = observe.begin('audit-keys', randomUUID())
    send(exchange.response, seen.interactionId, await reply(exchange, seen))
    seen.end(exchange)
  }

  async function reply({ request }: Exchange, seen: Seen): Promise<Reply> {
    try {
      limits.checkAddress(request)
      return request.method === 'GET' ? { status: 200, body: await keys.read() } : { status: 405, headers: { allow: 'GET' } }
    } catch (error) {
      if (error instanceof TooManyRequests) return { status: 429, headers: { 'retry-after': String(error.waitSeconds) } }
      seen.fault(error)
      return { status: 503, headers: { 'retry-after': String(keptMs / 1_000) } }
    }
  }
}
