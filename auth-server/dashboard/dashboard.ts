import type { AuthServerDependencies } from '../app.ts'
import type { Context, Next } from '../http/request-context.ts'
export function dashboard(_dependencies: AuthServerDependencies) {
  return async (_ctx: Context, next: Next): Promise<void> => next()
}
