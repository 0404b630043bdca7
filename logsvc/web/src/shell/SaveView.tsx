import { useState, type ReactNode } from "react";

import { useMayAct } from "../api/me.ts";
import { useViewChange } from "../api/views.ts";
import { ActionError } from "../parts/ActionError.tsx";
import { NOT_ALLOWED } from "../parts/actionWords.ts";
import { Dialog } from "./Dialog.tsx";
import { usePlace } from "./router.ts";
import { queryOfPlace } from "./views.ts";

/** Gives the page as it is shown a name, kept on the server. */
export default function SaveView({ close }: { close: () => void }): ReactNode {
  const place = usePlace();
  const changing = useViewChange();
  const mayShare = useMayAct() === true;
  const [name, setName] = useState("");
  const [isShared, setShared] = useState(false);
  const [isHome, setHome] = useState(false);
  const query = queryOfPlace(place);
  return (
    <Dialog title="Save this view" close={close} isBusy={changing.isPending}>
      <form
        className="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          const view = { title: name.trim(), query, shared: isShared, is_home: isHome };
          changing.mutate({ do: "save", view }, { onSuccess: close });
        }}
      >
        <p className="quiet">
          <bdi>{query}</bdi>
        </p>
        <input
          type="text"
          className="text-input"
          aria-label="Its name"
          placeholder="Its name"
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <label className="check" title={mayShare ? undefined : NOT_ALLOWED}>
          <input
            type="checkbox"
            checked={isShared}
            disabled={!mayShare}
            onChange={(event) => setShared(event.target.checked)}
          />{" "}
          Everybody sees it
        </label>
        <label className="check">
          <input type="checkbox" checked={isHome} onChange={(event) => setHome(event.target.checked)} /> I begin with it
        </label>
        <ActionError error={changing.error} />
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button button-go" disabled={name.trim() === "" || changing.isPending}>
            {changing.isPending ? "Saving…" : "Save"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
