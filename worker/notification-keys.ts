import type { Clock } from '@bankside/service-kit/clock'
import { readConfig, sealingKeys } from '@bankside/service-kit/config'
import type { Log } from '@bankside/service-kit/log'
import { keysInOrder } from '@bankside/service-kit/timed-keys'
import { z } from 'zod'

/** How long a new key may go unnoticed. It is there much longer before it seals (`npm run rotate-keys` sees to it). */
const lookEveryMs = 5_000

const settings = z.object({ NOTIFICATION_KEYS: sealingKeys })

type Following = { readonly clock: Clock; readonly log: Log; readonly environment?: Parameters<typeof readConfig>[1] }

/**
 * The keys that open what third parties are called with, as they are now: the file that `NOTIFICATION_KEYS_FILE` names is read anew, when
 * they are asked for. Keys that cannot be read change nothing: those that were there last go on.
 */
export function notificationKeys({ clock, log, environment }: Following): () => readonly Buffer[] {
  let read = readConfig(settings, environment).NOTIFICATION_KEYS
  let readAtMs = clock.now().getTime()
  return () => {
    const nowMs = clock.now().getTime()
    if (nowMs - readAtMs >= lookEveryMs) {
      readAtMs = nowMs
      try {
        read = readConfig(settings, environment).NOTIFICATION_KEYS
      } catch (error) {
        log.error({ err: error }, 'keys cannot be read: those that were there go on')
      }
    }
    return keysInOrder(read, nowMs / 1_000).map(({ key }) => key)
  }
}
