import { assets } from '@bankside/consent-ui/assets'
import { answerProblem, problems } from './problem-answer.ts'
import type { Context, Next } from './request-context.ts'

/** The address of an asset changes with its content, so a browser never needs to ask again. */
export async function serveAssets(ctx: Context, next: Next): Promise<void> {
  if (ctx.state.endpoint?.name !== 'asset') return next()
  const asset = assets.get(ctx.path)
  if (asset === undefined) return answerProblem(ctx, problems.notFound)
  ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
  ctx.type = asset.contentType
  ctx.body = asset.body
}
