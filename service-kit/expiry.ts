import { X509Certificate } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import { Gauge, type Registry } from './metrics.ts'

/** Something of ours that ends at a known time. */
export type Expiring = { readonly name: string; readonly kind: 'certificate' | 'key'; readonly expiresAt: Date }

const dayMs = 86_400_000
/** CERT-15: from then on the log says so, once a day. */
export const expiringSoonMs = 30 * dayMs
/** From then on as an error. */
const expiringNowMs = 7 * dayMs

export type ExpiryWatch = {
  /** Looks at once, and says what ends soon; it does so by itself once a day. */
  look(): Promise<void>
  close(): void
}

export type ExpiryWatchOptions = {
  readonly registry: Registry
  readonly clock: Clock
  readonly log: Log
  /** Asked each time: what there is may change. */
  readonly find: () => Promise<readonly Expiring[]> | readonly Expiring[]
}

/** How many seconds everything has left that a process depends on and that ends by itself: a gauge, and lines in the log. */
export function watchExpiry({ registry, clock, log, find }: ExpiryWatchOptions): ExpiryWatch {
  const secondsLeft = ({ expiresAt }: Expiring) => Math.round((expiresAt.getTime() - clock.now().getTime()) / 1_000)
  new Gauge({
    name: 'bankside_expiry_seconds',
    help: 'Seconds that a certificate or key has left; less than nothing when it is over',
    labelNames: ['kind', 'name'],
    registers: [registry],
    async collect() {
      this.reset()
      for (const item of await find()) this.set({ kind: item.kind, name: item.name }, secondsLeft(item))
    },
  })
  const look = async () => {
    try {
      for (const item of await find()) {
        const leftMs = secondsLeft(item) * 1_000
        if (leftMs > expiringSoonMs) continue
        const facts = { name: item.name, kind: item.kind, expiresAt: item.expiresAt, daysLeft: Math.floor(leftMs / dayMs) }
        log[leftMs > expiringNowMs ? 'warn' : 'error'](facts, leftMs > 0 ? 'it ends soon' : 'it has ended')
      }
    } catch (err) {
      log.error({ err }, 'it cannot be said when certificates and keys end')
    }
  }
  const timer = setInterval(() => void look(), dayMs)
  timer.unref()
  return { look, close: () => clearInterval(timer) }
}

/** Each setting is one, by what of it ends first: a chain is worth nothing beyond its shortest, and of several authorities none may be missed. */
export function certificatesOf(settings: Readonly<Record<string, string | undefined>>): readonly Expiring[] {
  return Object.entries(settings).flatMap(([name, pem = '']) => {
    const ends = (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((block) =>
      new X509Certificate(block).validToDate.getTime(),
    )
    return ends.length === 0 ? [] : [{ name, kind: 'certificate', expiresAt: new Date(Math.min(...ends)) }]
  })
}

/**
 * A ring of keys ends when none of it is left. One that has a successor without an end never does.
 *
 * @param keys Ends as NumericDate, undefined for one without.
 */
export function endOfRing(name: string, keys: readonly { readonly exp?: number | undefined }[]): readonly Expiring[] {
  const ends = keys.map(({ exp = Number.POSITIVE_INFINITY }) => exp)
  const last = Math.max(...ends)
  return Number.isFinite(last) ? [{ name, kind: 'key', expiresAt: new Date(last * 1_000) }] : []
}
