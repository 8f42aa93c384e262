import { env } from 'node:process'

/** The environment of this process with some of its variables changed: what a child is started with. */
export function environmentWith(changes: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { DATABASE_URL: _, REDIS_URL: __, ...inherited } = env
  return { ...inherited, ...changes }
}
