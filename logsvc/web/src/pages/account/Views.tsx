import { useState, type ReactNode } from "react";

import { useMayAct, type Me } from "../../api/me.ts";
import { useViewChange, useViews, type View, type ViewChange, type ViewWish } from "../../api/views.ts";
import { ActionError } from "../../parts/ActionError.tsx";
import { ConfirmDialog } from "../../parts/ConfirmDialog.tsx";
import { NOT_ALLOWED } from "../../parts/actionWords.ts";
import { Trouble } from "../../parts/Trouble.tsx";
import { Link } from "../../shell/Link.tsx";
import { placeOfView } from "../../shell/views.ts";

/** Saved views: one's own, and those that others share. */
export function Views({ me }: { me: Me }): ReactNode {
  const { data, error, dataUpdatedAt, refetch, isPending } = useViews();
  const changing = useViewChange();
  const mayShare = useMayAct() === true;
  const views = data?.map((view) => asWished(view, changing.isPending ? changing.variables : undefined));
  const [asked, ask] = useState<View["id"] | null>(null);
  const forgetting = views?.find((view) => view.id === asked);
  return (
    <section>
      <h2 className="section-title">Saved views</h2>
      <p className="quiet">
        A page as you like to see it. To save one: open it, then Ctrl K (on a phone: More) and “Save this view”.
      </p>
      {error && (
        <Trouble what="Views" error={error} shownSince={views ? dataUpdatedAt : 0} retry={() => void refetch()} />
      )}
      {forgetting ? <ForgetView view={forgetting} close={() => ask(null)} /> : <ActionError error={changing.error} />}
      {isPending && <p className="quiet">Asking the bot…</p>}
      {views?.length === 0 && <p>You have none yet, and nobody shares one.</p>}
      {views && views.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Shows</th>
                <th scope="col">Shared</th>
                <th scope="col">Home</th>
                <th scope="col">
                  <span className="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {views.map((view) => (
                <ViewRow
                  key={view.id}
                  view={view}
                  isOwn={isOwn(view, me)}
                  mayShare={mayShare}
                  change={(part) => changing.mutate({ do: "change", id: view.id, view: { ...wishOf(view), ...part } })}
                  forget={() => ask(view.id)}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

/** Asks before a view is forgotten, with whom it concerns. */
function ForgetView({ view, close }: { view: View; close: () => void }): ReactNode {
  const changing = useViewChange();
  return (
    <ConfirmDialog
      title={`Forget the view ${view.title}?`}
      verb={view.shared ? "Forget 1 view for everybody" : "Forget 1 view"}
      isDanger
      isBusy={changing.isPending}
      isDone={false}
      error={changing.error}
      confirm={() => changing.mutate({ do: "forget", id: view.id }, { onSuccess: close })}
      close={close}
    >
      <p>
        {view.shared ? "Everybody sees it now, and nobody will any more." : "Only you see it."}
        {view.is_home && " You begin with it now; after that you begin with the live lines."}
      </p>
    </ConfirmDialog>
  );
}

/** A view as it will be: a box is ticked at once, not when the bot has answered. */
function asWished(view: View, change: ViewChange | undefined): View {
  return change?.do === "change" && change.id === view.id ? { ...view, ...change.view } : view;
}

function wishOf({ title, query, is_home, shared }: View): ViewWish {
  return { title, query, is_home, shared };
}

function isOwn(view: View, me: Me): boolean {
  return view.owner === me.user_id;
}

interface ViewRowProps {
  view: View;
  isOwn: boolean;
  mayShare: boolean;
  change: (part: Partial<View>) => void;
  forget: () => void;
}

function ViewRow({ view, isOwn: isMine, mayShare, change, forget }: ViewRowProps): ReactNode {
  return (
    <tr data-row data-testid="view">
      <th scope="row">
        <Link {...placeOfView(view)} isWhole>
          <bdi>{view.title}</bdi>
        </Link>
      </th>
      <td data-name="Shows">
        <bdi className="name">{view.query}</bdi>
      </td>
      <td data-name="Shared">
        {isMine ? (
          <input
            type="checkbox"
            aria-label={`Share ${view.title} with everybody`}
            checked={view.shared}
            disabled={!mayShare}
            title={mayShare ? undefined : NOT_ALLOWED}
            onChange={(event) => change({ shared: event.target.checked })}
          />
        ) : (
          <>
            by <bdi>{view.owner_name || view.owner}</bdi>
          </>
        )}
      </td>
      <td data-name="Home">
        {isMine && (
          <input
            type="checkbox"
            aria-label={`Begin with ${view.title}`}
            checked={view.is_home}
            onChange={(event) => change({ is_home: event.target.checked })}
          />
        )}
      </td>
      <td className="number">
        {isMine && (
          <button type="button" className="button button-small" onClick={forget}>
            Forget it
          </button>
        )}
      </td>
    </tr>
  );
}
