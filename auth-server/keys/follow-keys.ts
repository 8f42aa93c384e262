import type { AuthServerDependencies, Handlers } from '../app.ts'
import type { Config } from '../config.ts'
import { isSame, keysAt, nextKeyChange } from './key-material.ts'
import type { KeySource } from './key-source.ts'

/** How long a new key may go unnoticed. It is published much longer before it signs (`npm run rotate-keys` sees to it). */
const lookEveryMs = 5_000

export type FollowedServer = {
  readonly handlers: Handlers
  /** Looks at once, and not only when it is time. */
  follow(): Promise<void>
  stop(): void
}

/**
 * An authorization server whose keys change while it serves. The library fixes keys when it is made, so another one is made
 * with the new keys and takes its place between two requests; what is running ends where it began. Keys that cannot be read
 * change nothing: those that were there last go on.
 */
export function followKeys(
  create: (dependencies: AuthServerDependencies) => Handlers,
  dependencies: AuthServerDependencies,
  { source, onChange }: { source: KeySource; onChange: (config: Config) => void },
): FollowedServer {
  const { clock, log, metrics } = dependencies
  const nowSeconds = () => clock.now().getTime() / 1000
  let { config } = dependencies
  let serving = create(dependencies)
  let changesAtSeconds = Number.POSITIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const look = async () => {
    try {
      const material = await source.read()
      const active = keysAt(material, nowSeconds())
      changesAtSeconds = nextKeyChange(material, nowSeconds())
      if (isSame(config, active)) return
      config = { ...config, ...active }
      serving = create({ ...dependencies, config })
      onChange(config)
      log.info({ kids: active.SIGNING_KEYS.keys.map(({ kid }) => kid) }, 'keys changed')
    } catch (error) {
      metrics.keyFaults.inc()
      log.error({ err: error }, 'keys cannot be read: those that were there go on')
    }
  }
  const lookAgain = () => {
    if (stopped) return
    const changesInMs = Math.max(1, (changesAtSeconds - nowSeconds()) * 1000)
    timer = setTimeout(() => void look().finally(lookAgain), Math.min(lookEveryMs, changesInMs))
    timer.unref()
  }
  lookAgain()
  return {
    handlers: {
      issuer: (request, response) => serving.issuer(request, response),
      mtls: (request, response) => serving.mtls(request, response),
      deliverLogouts: () => serving.deliverLogouts(),
    },
    follow: look,
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
